//! Where the figures are kept.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_tests::bench::markdown;
use mesh_tests::bench::report::Report;
use mesh_tests::error::Context as _;
use mesh_tests::{Error, Result};

/// The files of a run.
pub(crate) struct Results {
    json: Vec<PathBuf>,
    markdown: Vec<PathBuf>,
}

impl Results {
    /// `dataplane.json` and `dataplane.md` in `dir`, and those asked for.
    pub(crate) fn new(dir: &Path, json: Option<&Path>, markdown: Option<&Path>) -> Result<Self> {
        fs::create_dir_all(dir).context(format!("make {}", dir.display()))?;
        let files = |name: &str, more: Option<&Path>| {
            std::iter::once(dir.join(name)).chain(more.map(Path::to_owned)).collect()
        };
        Ok(Self { json: files("dataplane.json", json), markdown: files("dataplane.md", markdown) })
    }

    /// Writes `report` as far as it has come.
    pub(crate) fn write(&self, report: &Report) -> Result<()> {
        let json = report.to_json().map_err(|error| Error::Failed(error.to_string()))?;
        write_to(&self.json, &(json + "\n"))?;
        write_to(&self.markdown, &markdown::render(report))
    }

    /// Says where they are.
    pub(crate) fn tell(&self) {
        for path in self.markdown.iter().chain(&self.json) {
            eprintln!("written to {}", path.display());
        }
    }
}

fn write_to(paths: &[PathBuf], text: &str) -> Result<()> {
    for path in paths {
        fs::write(path, text).context(format!("write {}", path.display()))?;
    }
    Ok(())
}
