//! Seeds from the kernel's generator.

use mesh_control::ports::Seeds;

/// The kernel's generator (`getrandom(2)`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entropy;

impl Entropy {
    /// 32 fresh bytes.
    ///
    /// # Panics
    /// When the kernel has no generator at all (before Linux 3.17): no key made on such a host could
    /// be trusted, so nothing should go on.
    pub(crate) fn fresh(self) -> [u8; 32] {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("Linux has had getrandom(2) since 3.17");
        seed
    }
}

impl Seeds for Entropy {
    fn seed(&self) -> [u8; 32] {
        self.fresh()
    }
}
