//! What pages load: modules, styles, what others wrote. Compiled in, served under a path that changes with its content, and
//! named in the pages with its digest, so that a browser takes nothing else (Subresource Integrity).
//!
//! A worker cannot be held to a digest by any browser yet: `argon2_worker.js` and what it imports come from this node
//! unchecked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

use super::lean::lean;

/// Its path is of its content: browsers keep it.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const WORKER: &str = "js/core/argon2_worker.js";

macro_rules! files {
    ($($name:literal),+ $(,)?) => { [$(($name, include_bytes!(concat!("../../web/", $name)).as_slice())),+] };
}

static ALL: LazyLock<Assets> = LazyLock::new(|| {
    Assets::of(&files![
        "icon.svg",
        "page.css",
        "js/core/argon2.js",
        "js/core/argon2_worker.js",
        "js/core/audit.js",
        "js/core/backup.js",
        "js/core/cell.js",
        "js/core/ceremony.js",
        "js/core/channel.js",
        "js/core/codec.js",
        "js/core/duplex.js",
        "js/core/english.js",
        "js/core/envelope.js",
        "js/core/grant.js",
        "js/core/guardian.js",
        "js/core/hpke.js",
        "js/core/keys.js",
        "js/core/manifest.js",
        "js/core/object.js",
        "js/core/object_rotate.js",
        "js/core/screen.js",
        "js/core/screen_text.js",
        "js/core/slot.js",
        "js/core/slot_make.js",
        "js/core/stretch.js",
        "js/core/vault.js",
        "js/core/vault_change.js",
        "js/core/vault_make.js",
        "js/core/vault_renew.js",
        "js/core/vault_rotate.js",
        "js/core/words.js",
        "js/core/worker.js",
        "js/page/able.js",
        "js/page/accept.js",
        "js/page/approve.js",
        "js/page/audit.js",
        "js/page/call.js",
        "js/page/cell_ends.js",
        "js/page/console.js",
        "js/page/drawn.js",
        "js/page/drill.js",
        "js/page/guardian.js",
        "js/page/later.js",
        "js/page/line.js",
        "js/page/log.js",
        "js/page/making.js",
        "js/page/opening.js",
        "js/page/own.js",
        "js/page/owner.js",
        "js/page/passkey.js",
        "js/page/qr.js",
        "js/page/recovery.js",
        "js/page/request.js",
        "js/page/rotations.js",
        "js/page/shown.js",
        "js/page/terminal.js",
        "js/page/terminal_keys.js",
        "js/page/terminal_view.js",
        "js/page/vault.js",
        "js/page/vault_keys.js",
        "js/page/vault_new.js",
        "js/page/vault_open.js",
        "js/page/vault_parts.js",
        "js/page/vault_present.js",
        "js/page/vault_read.js",
        "js/page/vault_rotate.js",
        "js/page/vault_rows.js",
        "js/page/vault_write.js",
        "js/page/wire.js",
        "vendor/hash-wasm/argon2.js",
        "vendor/lean-qr/nano.js",
    ])
});

struct Assets {
    version: String,
    files: BTreeMap<&'static str, File>,
}

struct File {
    /// As it is served: of a module of ours, what a browser needs of it.
    bytes: Bytes,
    integrity: String,
    /// What a module imports, by name.
    imports: Vec<String>,
}

/// A file as a page names it.
pub(super) struct Named {
    pub(super) path: String,
    pub(super) integrity: &'static str,
}

/// What a page runs, besides what every page with cryptography does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Saying yes to be a guardian.
    Accept,
    /// Giving what somebody asks for.
    Approve,
    /// That a record stands in the audit.
    Audit,
    /// Nodes as they change, for operators.
    Console,
    /// What a container prints.
    Log,
    /// Deciding on a request.
    Request,
    /// Showing that one could still help.
    Drill,
    /// One's own words.
    Guardian,
    /// Showing a passkey, and adding one.
    Passkey,
    /// The words of requests for one's own vault.
    Recovery,
    /// A terminal in a container.
    Terminal,
    /// One's own secrets.
    Vault,
    /// The ways to open them.
    VaultKeys,
    /// New keys for it.
    VaultRotate,
    /// Making a vault.
    NewVault,
}

impl Script {
    fn file(self) -> &'static str {
        match self {
            Self::Accept => "js/page/accept.js",
            Self::Approve => "js/page/approve.js",
            Self::Audit => "js/page/audit.js",
            Self::Console => "js/page/console.js",
            Self::Log => "js/page/log.js",
            Self::Request => "js/page/request.js",
            Self::Drill => "js/page/drill.js",
            Self::Guardian => "js/page/guardian.js",
            Self::Passkey => "js/page/passkey.js",
            Self::Recovery => "js/page/recovery.js",
            Self::Terminal => "js/page/terminal.js",
            Self::Vault => "js/page/vault.js",
            Self::VaultKeys => "js/page/vault_keys.js",
            Self::VaultRotate => "js/page/vault_rotate.js",
            Self::NewVault => "js/page/vault_new.js",
        }
    }

    /// What the page starts.
    pub(super) fn named(self) -> Option<Named> {
        ALL.named(self.file())
    }

    /// All that this imports, and what that imports. Named ahead, since no browser checks an import by itself; what it loads
    /// here it takes from there.
    pub(super) fn imports(self) -> Vec<Named> {
        imported_by(self.file()).into_iter().filter_map(|name| ALL.named(name)).collect()
    }

    /// What it loads when somebody wants it, and what that imports besides.
    pub(super) fn later(self) -> Vec<Named> {
        let later: &[&str] = match self {
            Self::VaultKeys => &["js/page/drawn.js", "js/page/qr.js"],
            Self::Terminal => &["js/page/terminal_view.js"],
            _ => &[],
        };
        let mut more: BTreeSet<&str> = later.iter().flat_map(|name| imported_by(name)).collect();
        more.extend(later);
        more.difference(&imported_by(self.file())).filter_map(|name| ALL.named(name)).collect()
    }
}

/// All that a module imports, and what that imports.
fn imported_by(name: &str) -> BTreeSet<&'static str> {
    let (mut left, mut seen) = (vec![name], BTreeSet::new());
    while let Some(file) = left.pop().and_then(|name| ALL.files.get(name)) {
        for import in &file.imports {
            if seen.insert(import.as_str()) {
                left.push(import);
            }
        }
    }
    seen
}

/// The styles.
pub(super) fn styles() -> Option<Named> {
    ALL.named("page.css")
}

/// What a browser puts beside the title.
pub(super) fn icon() -> Option<Named> {
    ALL.named("icon.svg")
}

impl Assets {
    fn of(files: &[(&'static str, &'static [u8])]) -> Self {
        let files: BTreeMap<_, _> =
            files.iter().map(|(name, bytes)| (*name, File::of(name, bytes))).collect();
        let mut all = Sha256::new();
        for (name, file) in &files {
            all.update(name.as_bytes());
            all.update(Sha256::digest(&file.bytes));
        }
        let mut version = HEXLOWER.encode(&all.finalize());
        version.truncate(16);
        Self { version, files }
    }

    fn named(&'static self, name: &str) -> Option<Named> {
        let file = self.files.get(name)?;
        Some(Named { path: format!("/static/{}/{name}", self.version), integrity: &file.integrity })
    }
}

impl File {
    fn of(name: &str, bytes: &'static [u8]) -> Self {
        let bytes = match str::from_utf8(bytes) {
            Ok(module) if name.starts_with("js/") => Bytes::from(lean(module)),
            _ => Bytes::from_static(bytes),
        };
        let integrity = format!("sha256-{}", BASE64.encode(&Sha256::digest(&bytes)));
        Self { imports: imports_of(name, &bytes), integrity, bytes }
    }
}

/// What a module of ours imports: all are written `from "./name.js"`, `from "../folder/name.js"` or
/// `from "../../vendor/package/name.js"`.
fn imports_of(name: &str, bytes: &[u8]) -> Vec<String> {
    let (Ok(text), Some((folder, _))) = (str::from_utf8(bytes), name.rsplit_once('/')) else {
        return Vec::new();
    };
    let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
    let named = text.split("from \"").skip(1).filter_map(|rest| rest.split('"').next());
    named
        .filter_map(|import| match (import.strip_prefix("../../"), import.strip_prefix("../")) {
            (Some(rest), _) => Some(rest.to_owned()),
            (None, Some(rest)) => Some(format!("{above}/{rest}")),
            (None, None) => import.strip_prefix("./").map(|rest| format!("{folder}/{rest}")),
        })
        .collect()
}

/// Marks an answer whose cache rule and policy are not those of pages.
#[derive(Clone, Copy)]
pub(crate) struct OfAsset {
    compiles: bool,
}

impl OfAsset {
    /// How long it is kept.
    pub(crate) fn cache(self) -> HeaderValue {
        KEPT
    }

    /// Whether it may compile WebAssembly: the worker, and nothing else, so that no page may.
    pub(crate) fn compiles(self) -> bool {
        self.compiles
    }
}

/// One file, by version and name.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let found = ALL.files.get(name.as_str()).filter(|_| version == ALL.version);
    let Some(file) = found else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/css; charset=utf-8",
    };
    let mut answer = ([(header::CONTENT_TYPE, kind)], file.bytes.clone()).into_response();
    answer.extensions_mut().insert(OfAsset { compiles: name == WORKER });
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_every_import_of_a_page_is_named_with_its_digest() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        for folder in ["js/core", "js/page"] {
            for entry in fs::read_dir(web.join(folder)).unwrap() {
                let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
                assert!(ALL.files.contains_key(name.as_str()), "{name} is not served");
            }
        }
        for (name, file) in &ALL.files {
            let source = fs::read_to_string(web.join(name)).unwrap();
            let imports = source.lines().filter(|line| line.starts_with("import ")).count();
            let alone = usize::from(name.ends_with("core/argon2.js"));
            assert_eq!(file.imports.len() + alone, imports, "{name} imports in another way than the others");
            for import in &file.imports {
                assert!(ALL.files.contains_key(import.as_str()), "{name} imports {import}");
            }
            // modules of ours are made lean, what others wrote is as they wrote it; the digest is of what is served
            let served = if name.starts_with("js/") { lean(&source) } else { source };
            assert_eq!(file.bytes, served.as_bytes(), "{name}");
            let digest = BASE64.encode(&Sha256::digest(&served));
            assert_eq!(file.integrity, format!("sha256-{digest}"), "{name}");
        }
        let named = |script: Script| script.imports().into_iter().map(|named| named.path).collect::<Vec<_>>();
        let request = named(Script::Request);
        for needed in ["js/core/ceremony.js", "js/core/codec.js", "js/core/worker.js", "js/page/wire.js"] {
            assert!(request.iter().any(|path| path.ends_with(needed)), "{needed}: {request:?}");
        }
        // what compiles WebAssembly is the worker's alone
        assert!(!request.iter().any(|path| path.contains("argon2")), "{request:?}");
        assert!(!named(Script::Passkey).iter().any(|path| path.ends_with("english.js")));
        // what is only loaded when it is wanted has its digests too
        let later: Vec<_> = Script::VaultKeys.later().into_iter().map(|named| named.path).collect();
        for needed in ["js/core/english.js", "js/page/drawn.js", "js/page/qr.js", "vendor/lean-qr/nano.js"] {
            assert!(later.iter().any(|path| path.ends_with(needed)), "{needed}: {later:?}");
            assert!(!named(Script::VaultKeys).iter().any(|path| path.ends_with(needed)), "{needed}");
        }
        assert!(!later.iter().any(|path| path.ends_with("core/keys.js")), "{later:?}");
        let drawn: Vec<_> = Script::Terminal.later().into_iter().map(|named| named.path).collect();
        for needed in ["js/core/screen.js", "js/core/screen_text.js", "js/page/terminal_view.js"] {
            assert!(drawn.iter().any(|path| path.ends_with(needed)), "{needed}: {drawn:?}");
        }
    }
}
