//! `docs/configuration.md` is what the code says: each key with its default and the comment of its field.
//!
//! `OCMT_WRITE_REFERENCE=1 cargo test -p ocmt the_page_of_the_configuration` writes it anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use syn::{Expr, Fields, Item, Lit, Meta, Type};
use toml::Value;

use super::Config;

const HEAD: &str = "# Configuration

Every key of a node's configuration: one TOML file given by `--config`. A key is overridden by the environment as `OCMT__SECTION__KEY`, in capitals;
lists there are written with commas. An unknown key is an error with a suggestion, and so is a value out of its bounds: `ocmt config check` says so,
`ocmt config print --default` prints what is below as a file. The defaults are the secure ones; a node without a file has them all.

Times are written as `500ms`, `30s`, `10m` or `30min`, `4h`. This page is made from the code, and a test holds it to that.
";

/// Structures of the configuration: for each the type and the comment of each field.
struct Structs(BTreeMap<String, Vec<(String, String, String)>>);

impl Structs {
    fn read(folder: &Path) -> Self {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
            for item in file.items {
                let Item::Struct(item) = item else { continue };
                let Fields::Named(fields) = item.fields else { continue };
                let fields = fields.named.into_iter().map(|field| {
                    (field.ident.unwrap().to_string(), type_name(&field.ty), comment(&field.attrs))
                });
                found.insert(item.ident.to_string(), fields.collect());
            }
        }
        Self(found)
    }
}

fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// A doc comment as one line, without the brackets of links to items.
fn comment(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else { return None };
        match &meta.value {
            Expr::Lit(value) if meta.path.is_ident("doc") => match &value.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        }
    });
    let text = lines.collect::<Vec<_>>().join(" ");
    text.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

fn section(out: &mut String, structs: &Structs, name: &str, of: &str, value: &Value, about: &str) {
    let (Some(fields), Value::Table(values)) = (structs.0.get(of), value) else {
        panic!("{name} is no section: {of}")
    };
    write!(out, "\n## {name}\n\n{about}\n\n| key | default | what |\n|---|---|---|\n").unwrap();
    let mut inner = Vec::new();
    for (key, of, about) in fields {
        assert!(!about.is_empty(), "{name}.{key} has no comment");
        match values.get(key) {
            Some(table @ Value::Table(_)) if structs.0.contains_key(of) => {
                inner.push((key, of, table, about));
            }
            Some(value) => writeln!(out, "| `{key}` | `{value}` | {about} |").unwrap(),
            None => writeln!(out, "| `{key}` | | {about} |").unwrap(),
        }
    }
    for (key, of, value, about) in inner {
        section(out, structs, &format!("{name}.{key}"), of, value, about);
    }
}

fn page() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let structs = Structs::read(&source);
    let Value::Table(values) = Value::try_from(Config::default()).unwrap() else { panic!("no table") };
    let mut out = HEAD.to_owned();
    for (name, of, about) in &structs.0["Config"] {
        section(&mut out, &structs, name, of, &values[name], about);
    }
    out
}

#[test]
fn the_page_of_the_configuration_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = page();
    if std::env::var_os("OCMT_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (code, page)) in (1..).zip(page.lines().zip(written.lines())) {
        assert_eq!(page, code, "docs/configuration.md:{number}; OCMT_WRITE_REFERENCE=1 writes it anew");
    }
    assert_eq!(written.len(), page.len(), "OCMT_WRITE_REFERENCE=1 writes it anew");
}
