//! The contract, generated from `wit/`.
#![allow(
    missing_docs,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "relational-connector",
    pub_export_macro: true,
    default_bindings_module: "dagflux_guest::bindings",
    generate_all,
    // wasi:tls is a draft, and so kept behind a feature of its WIT.
    features: ["tls"],
});
