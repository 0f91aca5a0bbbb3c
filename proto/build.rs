//! Compiles the contract without `protoc`: messages, clients, servers, the descriptor set, and the
//! tables that field bounds are checked by.

use std::{error::Error, fs, path::PathBuf};

use protox::{Compiler, prost_reflect::DescriptorPool};

#[path = "build/redact.rs"]
mod redact;
#[path = "build/tables.rs"]
mod tables;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=ocmt");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    let files = proto_files()?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    // without comments: this one is embedded and served by reflection. The encoder of the compiler
    // keeps our own options, which a decoded `prost_types::FileDescriptorSet` would lose.
    let described = compile(&files, false)?.encode_file_descriptor_set();
    fs::write(out.join("descriptor.bin"), &described)?;
    let pool = DescriptorPool::decode(described.as_slice())?;
    fs::write(out.join("tables.rs"), tables::generate(&pool)?)?;
    let redacted = redact::messages(&pool);
    fs::write(out.join("redacted.rs"), redact::generate(&redacted))?;

    // with comments: they become the documentation of the generated code
    let mut prost = tonic_prost_build::Config::new();
    prost.enable_type_names();
    prost.skip_debug(redacted.iter().map(|message| format!(".{}", message.full_name())));
    tonic_prost_build::configure()
        .bytes(".")
        // a method that no service of ours implements is refused by the node before it gets here
        .generate_default_stubs(true)
        .codec_path("crate::codec::BoundsCodec")
        .compile_fds_with_config(compile(&files, true)?.file_descriptor_set(), prost)?;
    Ok(())
}

fn proto_files() -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for folder in ["ocmt/v1", "ocmt/cell/v1"] {
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    files.sort();
    Ok(files)
}

fn compile(files: &[PathBuf], comments: bool) -> Result<Compiler, protox::Error> {
    let mut compiler = Compiler::new(["."])?;
    compiler.include_source_info(comments).include_imports(true).open_files(files)?;
    Ok(compiler)
}
