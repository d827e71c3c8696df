use prost::Message;
fn main() {
    let fds = protox::compile(["lf/a2a/v1/a2a.proto"], ["/tmp/tp"]).unwrap();
    std::fs::write(std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap()).join("d.bin"), fds.encode_to_vec()).unwrap();
    tonic_prost_build::configure().bytes(".lf.a2a.v1").build_server(false).compile_fds(fds).unwrap();
}
