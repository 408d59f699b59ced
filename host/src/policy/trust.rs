//! Which components may be loaded, and what they were granted.
//!
//! A component is trusted with no more than the sandbox gives to any. What this decides is whether it
//! is the one that was meant: pinned by its digest, signed by a key, or asking for no more than
//! somebody granted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::descriptor::{Descriptor, Role};

/// The SHA-256 digest of a component: `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDigest;

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is written as sha256: and 64 hexadecimal digits")
    }
}

impl std::error::Error for NoDigest {}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.strip_prefix("sha256:").ok_or(NoDigest)?.as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 64 {
            return Err(NoDigest);
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0_u8, |byte, digit| {
                let digit = char::from(*digit).to_digit(16).ok_or(NoDigest)?;
                Ok(byte << 4 | u8::try_from(digit).map_err(|_| NoDigest)?)
            })?;
        }
        Ok(Self(digest))
    }
}

/// A minisign public key: the line of Base64 in a `.pub` file.
///
/// Minisign signs a file as it is, whatever it is: what is verified is every byte that is compiled,
/// the signature lies beside it, and signed and unsigned builds have the same digest. (The signatures
/// of the WebAssembly tool conventions are sections of the module itself.)
#[derive(Debug, Clone)]
pub struct SigningKey(minisign_verify::PublicKey);

/// A text that is no public key of minisign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKey;

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a minisign public key is a line of Base64 that begins with RW")
    }
}

impl std::error::Error for NoKey {}

impl FromStr for SigningKey {
    type Err = NoKey;

    /// Reads the line of Base64, or the whole content of a `.pub` file.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let text = text.trim();
        let line = text.lines().next_back().unwrap_or_default();
        minisign_verify::PublicKey::from_base64(line.trim())
            .map(Self)
            .map_err(|_| NoKey)
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for SigningKey {}

/// Why a component is not the one that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistrust {
    /// It has another digest than the pinned one.
    OtherDigest {
        /// The digest it has.
        found: Digest,
    },
    /// A key has to have signed it, and there is no signature.
    NoSignature,
    /// There is something in the place of a signature that is none.
    BadSignature,
    /// It is signed by someone else, or was changed since.
    WrongSignature,
}

/// What a component has to be, to be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trust {
    /// The digest it has to have.
    pub digest: Option<Digest>,
    /// The key it has to be signed with.
    pub key: Option<SigningKey>,
    /// What it may ask for; with none, for everything that the sandbox gives to any.
    pub granted: Option<Permissions>,
}

impl Trust {
    /// Trust in whatever is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the component with this digest.
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Asks for a signature by this key.
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Refuses a connector that asks for more than this.
    pub fn with_granted(mut self, granted: Permissions) -> Self {
        self.granted = Some(granted);
        self
    }

    /// Whether `wasm` is the component that was meant; `signature` is what lies beside it.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn permit(&self, wasm: &[u8], signature: Option<&str>) -> Result<(), Mistrust> {
        if let Some(pinned) = self.digest {
            let found = Digest::of(wasm);
            if found != pinned {
                return Err(Mistrust::OtherDigest { found });
            }
        }
        if let Some(SigningKey(key)) = &self.key {
            let signature = signature.ok_or(Mistrust::NoSignature)?;
            let signature = minisign_verify::Signature::decode(signature)
                .map_err(|_| Mistrust::BadSignature)?;
            // Only of the hash, as minisign has made them since 2017.
            key.verify(wasm, &signature, false)
                .map_err(|_| Mistrust::WrongSignature)?;
        }
        Ok(())
    }
}

/// What a connector asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Permissions {
    /// The interfaces it imports, without their versions.
    pub imports: BTreeSet<String>,
    /// The sensitive fields of its form whose values it is told: the login name.
    pub told: BTreeSet<String>,
    /// The sensitive fields whose values are kept from it.
    pub withheld: BTreeSet<String>,
    /// The other fields, whose values it reads.
    #[serde(skip)]
    pub public: BTreeSet<String>,
}

/// Something that a connector asks for and was not granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Beyond {
    /// An interface that it did not import.
    Import(String),
    /// A sensitive field that it was not told.
    Told(String),
    /// A field whose value was kept from it, and that its form no longer calls sensitive.
    NotWithheld(String),
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Import(name) => write!(f, "newly imports {name}"),
            Self::Told(name) => write!(f, "newly is told the value of `{name}`"),
            Self::NotWithheld(name) => {
                write!(f, "no longer has the value of `{name}` kept from it")
            }
        }
    }
}

impl Permissions {
    /// Those of a connector that imports `imports` and describes itself as `descriptor`.
    pub fn of<'a>(imports: impl IntoIterator<Item = &'a str>, descriptor: &Descriptor) -> Self {
        let mut permissions = Self::of_imports(imports);
        for field in &descriptor.fields {
            let fields = match field.role {
                _ if !field.sensitive => &mut permissions.public,
                Role::LoginName => &mut permissions.told,
                _ => &mut permissions.withheld,
            };
            fields.insert(field.name.clone());
        }
        permissions
    }

    /// Those that show from the outside.
    pub fn of_imports<'a>(imports: impl IntoIterator<Item = &'a str>) -> Self {
        let bare = |name: &'a str| {
            let interface = name.split_once('@');
            interface
                .map_or(name, |(interface, _)| interface)
                .to_owned()
        };
        Self {
            imports: imports.into_iter().map(bare).collect(),
            ..Self::default()
        }
    }

    /// Permissions as they were written down.
    pub fn recorded(
        imports: impl IntoIterator<Item = String>,
        told: impl IntoIterator<Item = String>,
        withheld: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            imports: imports.into_iter().collect(),
            told: told.into_iter().collect(),
            withheld: withheld.into_iter().collect(),
            public: BTreeSet::new(),
        }
    }

    /// What is granted from now on, where this was granted and a connector that asks for `asked` was let
    /// in: no more than before. But what was withheld once is remembered, also where a version has no such
    /// field: the values of saved connections outlive it.
    pub fn and_withheld(&self, asked: &Self) -> Self {
        Self {
            withheld: &self.withheld | &asked.withheld,
            ..self.clone()
        }
    }

    /// What of this goes beyond `granted`. A field that was withheld and is gone takes nothing.
    pub fn beyond(&self, granted: &Self) -> Vec<Beyond> {
        let imports = self.imports.difference(&granted.imports);
        let told = self.told.difference(&granted.told);
        let public = self.public.intersection(&granted.withheld);
        imports
            .map(|name| Beyond::Import(name.clone()))
            .chain(told.map(|name| Beyond::Told(name.clone())))
            .chain(public.map(|name| Beyond::NotWithheld(name.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    /// Of the text `test`, from the documentation of minisign-verify.
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    #[test]
    fn digests_are_read_as_they_are_written() {
        let digest = Digest::of(b"test");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(
            digest.to_string().to_uppercase().parse::<Digest>(),
            Err(NoDigest)
        );
        for text in [
            "",
            "sha256:",
            "sha256:00",
            "md5:00",
            &"0".repeat(64),
            &digest.to_string()[..70],
        ] {
            assert_eq!(text.parse::<Digest>(), Err(NoDigest), "{text}");
        }
        let odd = format!("sha256:{}", "+f".repeat(32));
        assert_eq!(odd.parse::<Digest>(), Err(NoDigest));
    }

    #[test]
    fn another_component_is_mistrusted() {
        let trust = Trust::new().with_digest(Digest::of(b"test"));
        assert_eq!(trust.permit(b"test", None), Ok(()));
        let found = Digest::of(b"tess");
        assert_eq!(
            trust.permit(b"tess", None),
            Err(Mistrust::OtherDigest { found })
        );
    }

    #[test]
    fn a_signature_has_to_be_there_and_right() {
        let trust = Trust::new().with_key(PUBLIC.parse().unwrap());
        assert_eq!(trust.permit(b"test", Some(SIGNATURE)), Ok(()));
        assert_eq!(trust.permit(b"test", None), Err(Mistrust::NoSignature));
        assert_eq!(trust.permit(b"test", Some("")), Err(Mistrust::BadSignature));
        assert_eq!(
            trust.permit(b"tess", Some(SIGNATURE)),
            Err(Mistrust::WrongSignature)
        );
        let comment = SIGNATURE.replace("file:test", "file:tess");
        assert_eq!(
            trust.permit(b"test", Some(&comment)),
            Err(Mistrust::WrongSignature)
        );
        // Both where both are asked for.
        let both = trust.with_digest(Digest::of(b"other"));
        assert!(both.permit(b"test", Some(SIGNATURE)).is_err());
    }

    #[test]
    fn keys_are_read_from_a_line_or_a_file() {
        let file = format!("untrusted comment: minisign public key\n{PUBLIC}\n");
        assert_eq!(file.parse::<SigningKey>(), PUBLIC.parse::<SigningKey>());
        for text in ["", "RW", "untrusted comment: x", &PUBLIC[1..]] {
            assert_eq!(text.parse::<SigningKey>(), Err(NoKey), "{text}");
        }
    }

    #[test]
    fn versions_of_imports_do_not_count() {
        let granted = Permissions::of_imports(["wasi:io/streams@0.2.0"]);
        let same = Permissions::of_imports(["wasi:io/streams@0.2.6"]);
        assert_eq!(same.beyond(&granted), []);
        let more = Permissions::of_imports(["wasi:io/streams@0.2.6", "wasi:http/types@0.2.0"]);
        let beyond = more.beyond(&granted);
        assert_eq!(beyond, [Beyond::Import("wasi:http/types".to_owned())]);
        assert_eq!(granted.beyond(&more), []);
    }

    /// A field that comes as a secret and becomes public two versions later.
    #[test]
    fn what_was_withheld_once_is_remembered() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let version = |withheld: &[&str], public: &[&str]| Permissions {
            withheld: names(withheld),
            public: names(public),
            ..Permissions::default()
        };
        let first = version(&["host"], &["port"]);
        let second = version(&["host", "pin"], &["port"]);
        assert_eq!(second.beyond(&first), []);
        let granted = first.and_withheld(&second);
        for third in [version(&["host"], &["pin"]), version(&[], &["pin", "port"])] {
            let beyond = third.beyond(&granted);
            assert_eq!(beyond, [Beyond::NotWithheld("pin".to_owned())]);
            // Also where it was away in between.
            let granted = granted.and_withheld(&version(&["host"], &[]));
            assert_eq!(third.beyond(&granted), beyond);
        }
        // What is asked for beside is not granted by being let in.
        let more = Permissions::of_imports(["wasi:http/types"]);
        assert!(granted.and_withheld(&more).imports.is_empty());
    }
}
