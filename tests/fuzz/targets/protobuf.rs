#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| { let _ = a2ad::pb::json::to_vec(&<a2ad::pb::Task as prost::Message>::decode(data).unwrap_or_default()); });
