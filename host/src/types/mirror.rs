//! Types of the contract as types of the public API.

/// A record of the contract as a type of the public API.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident from $wit:path { $($(#[$field_doc:meta])* $field:ident / $from:ident $(($map:ident))?: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl From<$wit> for $name {
            fn from(from: $wit) -> Self {
                Self { $($field: from.$from $(.$map(Into::into))? .into(),)* }
            }
        }
    };
}

pub(crate) use mirror;

/// An enumeration of the contract as a type of the public API.
macro_rules! mirror_enum {
    ($(#[$doc:meta])* $name:ident from $wit:path { $($(#[$case_doc:meta])* $case:ident = $text:literal,)* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        $(#[$doc])*
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$case_doc])* $case,)*
        }

        impl $name {
            /// Its name, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)*
                }
            }
        }

        impl From<$wit> for $name {
            fn from(from: $wit) -> Self {
                match from {
                    $(<$wit>::$case => Self::$case,)*
                }
            }
        }
    };
}

pub(crate) use mirror_enum;
