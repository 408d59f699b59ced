//! What encryption a connection has, and what counts as the server's proof of who it is.

/// The modes every PostgreSQL user knows, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted where the server offers it, verified by nothing: anyone in
    /// between can turn it off, or read along.
    Prefer,
    /// Encrypted, but verified by nothing: keeps out who only listens, not who
    /// stands in between.
    Require,
    /// The server's certificate is signed by the CA given; its name is not looked at.
    VerifyCa,
    /// The server's certificate is made out to the host of the connection, and
    /// signed by the CA given, or by one that this machine trusts if none is.
    /// What Use SSL means, which takes either CA.
    VerifyFull,
}

impl TlsMode {
    /// The names, from the weakest to the strongest.
    pub const NAMES: &'static [&'static str] =
        &["disable", "prefer", "require", "verify-ca", "verify-full"];

    /// The name, as in `verify-full`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// The mode of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [
            Self::Disable,
            Self::Prefer,
            Self::Require,
            Self::VerifyCa,
            Self::VerifyFull,
        ]
        .into_iter()
        .find(|mode| mode.as_str() == name)
    }

    /// Whether nothing of a login may pass without encryption.
    pub fn is_mandatory(self) -> bool {
        self >= Self::Require
    }
}

/// What the server has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The SHA-256 of its certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// That one of the CAs given has signed for it.
    pub chain: bool,
    /// That this machine's CAs count as well.
    pub system_roots: bool,
    /// That the certificate is made out to the host of the connection.
    pub name: bool,
}

impl Proof {
    /// Whether it proves anything.
    pub fn is_any(self) -> bool {
        self.fingerprint.is_some() || self.chain
    }
}

/// What the form says about encryption, before it is made sense of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// Use SSL, if it was set.
    pub use_ssl: Option<bool>,
    /// `ssl_mode`, if it was set.
    pub ssl_mode: Option<&'a str>,
    /// Whether a CA was given.
    pub has_ca: bool,
    /// The pinned certificate, if one was.
    pub fingerprint: Option<[u8; 32]>,
    /// Whether a client certificate was given.
    pub has_certificate: bool,
}

/// A field and what is wrong with its value.
pub type Fault = (&'static str, String);

/// What is to be done, and what the server has to prove for it.
///
/// # Errors
///
/// Where the fields contradict each other: a mode that does not do what another
/// field was set for is not chosen silently.
pub fn decide(wishes: Wishes<'_>) -> Result<(TlsMode, Proof), Fault> {
    let Wishes {
        use_ssl,
        ssl_mode,
        has_ca,
        fingerprint,
        has_certificate,
    } = wishes;
    let mode = match ssl_mode {
        None if use_ssl == Some(true) => TlsMode::VerifyFull,
        None => TlsMode::Disable,
        Some(name) => TlsMode::of_name(name).ok_or_else(|| {
            (
                "ssl_mode",
                format!(
                    "`ssl_mode` has to be one of {}, not {name:?}",
                    TlsMode::NAMES.join(", ")
                ),
            )
        })?,
    };
    match use_ssl {
        Some(true) if !mode.is_mandatory() => {
            return Err((
                "ssl_mode",
                format!(
                    "`ssl_mode` is {}, which does without encryption, and Use SSL is on: leave one of the two out",
                    mode.as_str()
                ),
            ));
        }
        Some(false) if mode.is_mandatory() => {
            return Err((
                "ssl_mode",
                format!(
                    "`ssl_mode` is {}, which encrypts, and Use SSL is off: leave one of the two out",
                    mode.as_str()
                ),
            ));
        }
        _ => {}
    }
    if mode == TlsMode::VerifyCa && !has_ca {
        return Err((
            "ssl_ca",
            "`ssl_mode` is verify-ca, which trusts the CA in `ssl_ca` and no other: name the CA's file there, or use verify-full".to_owned(),
        ));
    }
    if !mode.is_mandatory() {
        let given = [
            ("ssl_ca", has_ca && mode == TlsMode::Disable),
            ("ssl_fingerprint", fingerprint.is_some()),
            ("ssl_cert", has_certificate && mode == TlsMode::Disable),
        ];
        if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err((
                field,
                format!(
                    "`{field}` is set, and the connection {}: turn Use SSL on, or leave `{field}` out",
                    if mode == TlsMode::Disable {
                        "is not encrypted"
                    } else {
                        "verifies nothing"
                    },
                ),
            ));
        }
    }
    // A pinned certificate is proof enough, as a known host's key is for ssh;
    // asked for by name, the other proofs are wanted as well.
    let explicit = ssl_mode.is_some();
    let chain = match mode {
        TlsMode::Disable | TlsMode::Prefer => false,
        // As libpq has it: a CA is not given for nothing.
        TlsMode::Require => has_ca,
        TlsMode::VerifyCa => true,
        TlsMode::VerifyFull => explicit || has_ca || fingerprint.is_none(),
    };
    let proof = Proof {
        fingerprint,
        chain,
        // Any CA signs for anyone who owns a name, so without a look at the name the
        // machine's own CAs prove nothing.
        // Use SSL adds a CA to those; a mode asked for by name means the CA and no other.
        system_roots: chain && mode == TlsMode::VerifyFull && !(explicit && has_ca),
        name: chain && mode == TlsMode::VerifyFull,
    };
    Ok((mode, proof))
}

/// What is weaker about this than what Use SSL stands for; none if nothing is, or if nothing is
/// encrypted in the first place.
pub fn weakness(mode: TlsMode, proof: Proof) -> Option<&'static str> {
    match mode {
        TlsMode::Disable => None,
        TlsMode::Prefer => Some(
            "`ssl_mode` is prefer: encrypted only as long as nobody in between says otherwise, and anyone could be the server",
        ),
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull if !proof.is_any() => {
            Some("`ssl_mode` is require: encrypted, but anyone could be the server")
        }
        TlsMode::Require | TlsMode::VerifyCa if proof.fingerprint.is_none() => Some(
            "the server proves that the CA in `ssl_ca` signed for it, but not that it is the host named",
        ),
        _ => None,
    }
}

/// Whether a connector that has sent `sent` of the request for TLS may send
/// `bytes` next, in the clear, on a connection that has to be encrypted.
pub fn permit_in_the_clear(request: &[u8], sent: usize, bytes: &[u8]) -> bool {
    request
        .get(sent..)
        .is_some_and(|rest| rest.starts_with(bytes))
}

/// Reads a fingerprint: `sha256:` and 64 hexadecimal digits, with or without
/// colons between the bytes, as `openssl x509 -fingerprint` writes them.
pub fn fingerprint(text: &str) -> Result<[u8; 32], Fault> {
    let wrong = || {
        (
            "ssl_fingerprint",
            "`ssl_fingerprint` has to be `sha256:` and the 64 hexadecimal digits of the server certificate's SHA-256".to_owned(),
        )
    };
    let digits = text
        .trim()
        .strip_prefix("sha256:")
        .or_else(|| text.trim().strip_prefix("SHA256:"))
        .ok_or_else(wrong)?;
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0_u8, |byte, digit| byte << 4 | digit))
        .collect();
    match digits.len() {
        64 => bytes.try_into().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// Writes a fingerprint as [`fingerprint`] reads it.
pub fn show_fingerprint(bytes: &[u8; 32]) -> String {
    use std::fmt::Write;
    bytes.iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Wishes<'_> = Wishes {
        use_ssl: None,
        ssl_mode: None,
        has_ca: false,
        fingerprint: None,
        has_certificate: false,
    };

    fn decided(wishes: Wishes<'_>) -> (TlsMode, Proof) {
        decide(wishes).unwrap()
    }

    #[test]
    fn use_ssl_alone_verifies_everything() {
        let (mode, proof) = decided(Wishes {
            use_ssl: Some(true),
            ..NOTHING
        });
        assert_eq!(mode, TlsMode::VerifyFull);
        assert!(proof.chain && proof.name && proof.system_roots);
        let with_ca = Wishes {
            use_ssl: Some(true),
            has_ca: true,
            ..NOTHING
        };
        assert_eq!(decided(with_ca), (mode, proof));
        assert_eq!(decided(NOTHING).0, TlsMode::Disable);
        let off = Wishes {
            use_ssl: Some(false),
            ..NOTHING
        };
        assert_eq!(decided(off).0, TlsMode::Disable);
    }

    #[test]
    fn each_mode_demands_its_proof() {
        for (name, has_ca, chain, system, checks_name) in [
            ("disable", false, false, false, false),
            ("prefer", false, false, false, false),
            ("prefer", true, false, false, false),
            ("require", false, false, false, false),
            ("require", true, true, false, false),
            ("verify-ca", true, true, false, false),
            ("verify-full", false, true, true, true),
            ("verify-full", true, true, false, true),
        ] {
            let (mode, proof) = decided(Wishes {
                ssl_mode: Some(name),
                has_ca,
                ..NOTHING
            });
            assert_eq!(mode.as_str(), name);
            let expected = Proof {
                fingerprint: None,
                chain,
                system_roots: system,
                name: checks_name,
            };
            assert_eq!(proof, expected, "{name}, CA {has_ca}");
        }
    }

    #[test]
    fn contradictions_are_not_resolved_silently() {
        let pinned = Some([7; 32]);
        for (wishes, field) in [
            (
                Wishes {
                    use_ssl: Some(true),
                    ssl_mode: Some("prefer"),
                    ..NOTHING
                },
                "ssl_mode",
            ),
            (
                Wishes {
                    use_ssl: Some(true),
                    ssl_mode: Some("disable"),
                    ..NOTHING
                },
                "ssl_mode",
            ),
            (
                Wishes {
                    use_ssl: Some(false),
                    ssl_mode: Some("require"),
                    ..NOTHING
                },
                "ssl_mode",
            ),
            (
                Wishes {
                    ssl_mode: Some("verify_full"),
                    ..NOTHING
                },
                "ssl_mode",
            ),
            (
                Wishes {
                    ssl_mode: Some("verify-ca"),
                    ..NOTHING
                },
                "ssl_ca",
            ),
            (
                Wishes {
                    has_ca: true,
                    ..NOTHING
                },
                "ssl_ca",
            ),
            (
                Wishes {
                    fingerprint: pinned,
                    ..NOTHING
                },
                "ssl_fingerprint",
            ),
            (
                Wishes {
                    ssl_mode: Some("prefer"),
                    fingerprint: pinned,
                    ..NOTHING
                },
                "ssl_fingerprint",
            ),
            (
                Wishes {
                    has_certificate: true,
                    ..NOTHING
                },
                "ssl_cert",
            ),
        ] {
            assert_eq!(decide(wishes).unwrap_err().0, field, "{wishes:?}");
        }
    }

    #[test]
    fn a_pin_stands_for_the_chain_unless_both_are_asked_for() {
        let pinned = Wishes {
            use_ssl: Some(true),
            fingerprint: Some([7; 32]),
            ..NOTHING
        };
        assert!(!decided(pinned).1.chain);
        let both = Wishes {
            ssl_mode: Some("verify-full"),
            ..pinned
        };
        assert!(decided(both).1.chain && decided(both).1.fingerprint.is_some());
    }

    #[test]
    fn what_weakens_is_named() {
        let pinned = Some([7; 32]);
        for (name, has_ca, fingerprint, weak) in [
            ("disable", false, None, None),
            ("prefer", false, None, Some("nobody in between")),
            ("require", false, None, Some("anyone could be the server")),
            ("require", false, pinned, None),
            ("require", true, None, Some("not that it is the host named")),
            (
                "verify-ca",
                true,
                None,
                Some("not that it is the host named"),
            ),
            ("verify-ca", true, pinned, None),
            ("verify-full", false, None, None),
            ("verify-full", true, pinned, None),
        ] {
            let (mode, proof) = decided(Wishes {
                ssl_mode: Some(name),
                has_ca,
                fingerprint,
                ..NOTHING
            });
            let found = weakness(mode, proof);
            assert_eq!(found.is_some(), weak.is_some(), "{name}");
            assert!(
                found.unwrap_or_default().contains(weak.unwrap_or_default()),
                "{name}: {found:?}"
            );
        }
    }

    #[test]
    fn only_the_request_passes_in_the_clear() {
        let request = b"12345678";
        assert!(permit_in_the_clear(request, 0, request));
        assert!(permit_in_the_clear(request, 0, b"1234"));
        assert!(permit_in_the_clear(request, 4, b"5678"));
        assert!(permit_in_the_clear(request, 8, b""));
        for (sent, bytes) in [
            (0, &b"user"[..]),
            (0, b"123456789"),
            (4, b"1234"),
            (8, b"x"),
            (9, b""),
        ] {
            assert!(
                !permit_in_the_clear(request, sent, bytes),
                "{sent} {bytes:?}"
            );
        }
        assert!(!permit_in_the_clear(b"", 0, b"x"));
    }

    #[test]
    fn fingerprints_are_read_as_they_are_written() {
        let bytes = std::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap());
        let text = show_fingerprint(&bytes);
        assert_eq!(fingerprint(&text), Ok(bytes));
        let pairs: Vec<String> = text.as_bytes()["sha256:".len()..]
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
            .collect();
        assert_eq!(
            fingerprint(&format!("sha256:{}", pairs.join(":"))),
            Ok(bytes)
        );
        for wrong in [
            "",
            "sha256:",
            "sha256:00",
            "md5:00",
            &text[..70],
            &format!("{text}0"),
            &text[7..],
        ] {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
    }
}
