//! Makes Rust out of `proto/`: messages and clients by prost and tonic, JSON, inspection and OpenAPI by our generator.

use std::path::PathBuf;

use prost_reflect::DescriptorPool;

#[path = "src/pb/generate/mod.rs"]
mod generate;

/// The protocol's service, and that of operators.
const SERVICE_PROTO: &str = "lf/a2a/v1/a2a.proto";
const ADMIN_PROTO: &str = "a2ad/admin/v1/push.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for input in ["build.rs", "proto", "src/pb/generate"] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    // Servers hand these sets out by reflection; comments would only make them larger.
    for (proto, set) in [
        (SERVICE_PROTO, "descriptors.bin"),
        (ADMIN_PROTO, "admin_descriptors.bin"),
    ] {
        std::fs::write(out.join(set), compile(proto, false)?.encode_file_descriptor_set())?;
    }

    for proto in [SERVICE_PROTO, ADMIN_PROTO] {
        let documented = compile(proto, true)?;
        tonic_prost_build::configure()
            .bytes(".lf.a2a.v1")
            .btree_map(".lf.a2a.v1")
            .build_server(false)
            .build_client(true)
            .compile_fds(documented.file_descriptor_set())?;

        // The encoded set keeps the options of google.api, which prost's own descriptor types drop.
        let pool = DescriptorPool::decode(documented.encode_file_descriptor_set().as_slice())?;
        let files = match proto {
            SERVICE_PROTO => generate::protocol(&pool),
            _ => generate::admin(&pool),
        };
        for (file, text) in files {
            std::fs::write(out.join(file), text)?;
        }
    }
    Ok(())
}

fn compile(proto: &str, comments: bool) -> Result<protox::Compiler, protox::Error> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(comments)
        .open_file(proto)?;
    Ok(compiler)
}
