//! Rules that have a name for machines and a sentence for people.

/// An enumeration of rules.
macro_rules! rules {
    ($(#[$doc:meta])* $rule:ident $($name:ident / $text:literal: $sentence:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum $rule {
            $(#[doc = $sentence] $name,)*
        }

        impl $rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it says.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

pub(crate) use rules;
