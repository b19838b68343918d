//! Reasons that are counted, each under a stable name.

/// An enum of reasons with a name for each; what is counted for one is what its documentation says.
macro_rules! reasons {
    (
        $(#[$about:meta])*
        pub enum $Reason:ident { $($(#[$doc:meta])* $variant:ident => $name:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $Reason { $($(#[$doc])* $variant,)* }

        impl $Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason's name. Stable: people and dashboards know it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

pub(crate) use reasons;
