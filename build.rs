//! Makes Rust out of `proto/`: messages and client by prost and tonic, JSON, inspection and OpenAPI by our generator.

use std::path::PathBuf;

use prost_reflect::DescriptorPool;

#[path = "src/pb/generate/mod.rs"]
mod generate;

const SERVICE_PROTO: &str = "lf/a2a/v1/a2a.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for input in ["build.rs", "proto", "src/pb/generate"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    // Servers hand this set out by reflection; comments would only make it larger.
    std::fs::write(
        out.join("descriptors.bin"),
        compile(false)?.encode_file_descriptor_set(),
    )?;

    let documented = compile(true)?;
    tonic_prost_build::configure()
        .bytes(".lf.a2a.v1")
        .btree_map(".lf.a2a.v1")
        .build_server(false)
        .build_client(true)
        .compile_fds(documented.file_descriptor_set())?;

    // The encoded set keeps the options of google.api, which prost's own descriptor types drop.
    let pool = DescriptorPool::decode(documented.encode_file_descriptor_set().as_slice())?;
    for (file, text) in generate::run(&pool) {
        std::fs::write(out.join(file), text)?;
    }
    Ok(())
}

fn compile(comments: bool) -> Result<protox::Compiler, protox::Error> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(comments)
        .open_file(SERVICE_PROTO)?;
    Ok(compiler)
}
