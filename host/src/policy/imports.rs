//! Which interfaces a component may import.

/// The interfaces of the contract, and the parts of `wasi:cli` that a standard
/// library brings along (linked, but empty). Versions are left to the linker.
const PERMITTED: &[&str] = &[
    "dagflux:connector/credentials",
    "dagflux:connector/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:config/store",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:logging/logging",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:tls/types",
];

/// The imports among `names` that are not permitted, in their order.
///
/// Names are those of a component type, such as `wasi:io/streams@0.2.6`.
pub fn forbidden<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    names
        .into_iter()
        .filter(|name| !is_permitted(name))
        .collect()
}

fn is_permitted(name: &str) -> bool {
    let interface = name
        .split_once('@')
        .map_or(name, |(interface, _)| interface);
    PERMITTED.contains(&interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_permitted_by_resemblance() {
        let names = [
            "wasi:filesystem/types@0.2.6",
            "wasi:filesystem/preopens@0.2.6",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:sockets/udp@0.2.0",
            "wasi:sockets/udp-create-socket@0.2.0",
            "wasi:sockets/tcp-evil@0.2.0",
            "wasi:io/streams/extra@0.2.0",
            "evil:wasi:io/streams@0.2.0",
            "",
            "a-function",
        ];
        assert_eq!(forbidden(names), names);
    }

    #[test]
    fn the_contract_is_permitted_in_any_version() {
        assert!(
            forbidden([
                "wasi:io/streams@0.2.0",
                "wasi:io/streams@0.2.12",
                "wasi:io/streams"
            ])
            .is_empty()
        );
        assert!(forbidden(PERMITTED.iter().copied()).is_empty());
    }
}
