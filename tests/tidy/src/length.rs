//! How long a file and a function may be. What is longer has two ideas in it: split it by meaning.

use syn::{
    Block, ImplItemFn, ItemFn, Signature, TraitItemFn,
    spanned::Spanned as _,
    visit::{self, Visit},
};

use crate::{Finding, tree::Source};

/// Lines a file may have, by the end of its name.
const FILE_LINES: [(&str, usize); 4] = [("rs", 400), ("sql", 600), ("proto", 600), ("sh", 200)];

/// Lines a function may have, from `fn` to its closing brace.
pub const FUNCTION_LINES: usize = 70;

/// A finding if the file is too long for its kind.
pub fn file(source: &Source) -> Option<Finding> {
    let (_, bound) = FILE_LINES.iter().find(|(extension, _)| source.has_extension(extension))?;
    let lines = source.text.lines().count();
    (lines > *bound)
        .then(|| Finding::at(&source.path, 0, format!("{lines} lines; at most {bound}: split it by meaning")))
}

/// Every function that is too long.
pub fn functions(source: &Source) -> Vec<Finding> {
    match syn::parse_file(&source.text) {
        Ok(file) => {
            let mut long = LongFunctions { path: &source.path, findings: Vec::new() };
            long.visit_file(&file);
            long.findings
        }
        Err(error) => {
            vec![Finding::at(&source.path, error.span().start().line, format!("not Rust: {error}"))]
        }
    }
}

struct LongFunctions<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl LongFunctions<'_> {
    fn measure(&mut self, signature: &Signature, body: &Block) {
        let (first, last) = (signature.span().start().line, body.span().end().line);
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES {
            let message = format!("fn {}: {lines} lines; at most {FUNCTION_LINES}", signature.ident);
            self.findings.push(Finding::at(self.path, first, message));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.measure(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: String) -> Source {
        Source { path: path.to_owned(), text }
    }

    #[test]
    fn a_file_of_400_lines_passes_and_one_of_401_does_not() {
        assert_eq!(file(&source("a.rs", "// x\n".repeat(400))), None);
        assert!(file(&source("a.rs", "// x\n".repeat(401))).is_some());
        assert_eq!(file(&source("a.md", "x\n".repeat(4000))), None);
        assert!(file(&source("a.sh", "true\n".repeat(201))).is_some());
    }

    #[test]
    fn a_function_of_70_lines_passes_and_one_of_71_does_not_wherever_it_stands() {
        let body = |lines: usize| format!("fn f() {{\n{}}}\n", "g();\n".repeat(lines - 2));
        assert_eq!(functions(&source("a.rs", body(70))), []);
        let nested = [
            body(71),
            format!("impl A {{ {} }}", body(71)),
            format!("trait A {{ {} }}", body(71)),
            format!("mod a {{ fn b() {{ {} }} }}", body(71)),
        ];
        for text in nested {
            assert!(!functions(&source("a.rs", text)).is_empty());
        }
    }

    #[test]
    fn doc_comments_and_attributes_do_not_count() {
        let text = format!("{}#[inline]\nfn f() {{\n}}\n", "/// said\n".repeat(100));
        assert_eq!(functions(&source("a.rs", text)), []);
    }
}
