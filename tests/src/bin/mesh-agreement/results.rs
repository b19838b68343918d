//! Where the figures are kept.

use std::fs;
use std::path::Path;

use mesh_tests::Result;
use mesh_tests::error::Context as _;
use serde::Serialize;

/// Writes `NAME.md` and `NAME.json` into `dir`.
pub(crate) fn write(dir: &Path, name: &str, tables: &str, figures: &impl Serialize) -> Result<()> {
    fs::create_dir_all(dir).context(format!("make {}", dir.display()))?;
    let json = serde_json::to_string_pretty(figures).map_err(|error| error.to_string())? + "\n";
    for (ending, text) in [("md", tables), ("json", &json)] {
        let path = dir.join(name).with_extension(ending);
        fs::write(&path, text).context(format!("write {}", path.display()))?;
    }
    Ok(())
}
