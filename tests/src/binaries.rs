//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::error::{Context as _, Error, Result};

/// Names the directory with `meshd` and `mesh`, when it is not that of the running program.
pub const BIN_DIR: &str = "MESH_BIN_DIR";

/// Names the directory with those of the version before, which `scripts/previous` builds and prints.
pub const PREVIOUS_BIN_DIR: &str = "MESH_PREVIOUS_BIN_DIR";

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The daemon.
    pub meshd: PathBuf,
    /// The command line.
    pub mesh: PathBuf,
}

impl Binaries {
    /// Those in `$MESH_BIN_DIR`; otherwise those beside the running program, which a test has built
    /// first so that it never judges yesterday's daemon.
    pub fn find() -> Result<Self> {
        if let Some(dir) = std::env::var_os(BIN_DIR) {
            return Self::in_dir(Path::new(&dir));
        }
        let exe = std::env::current_exe().context("find the running program")?;
        let dir = exe.parent().ok_or("the running program has no directory")?;
        if dir.ends_with("deps") {
            let profile_dir = dir.parent().ok_or("no target directory")?;
            build_once(profile_dir)?;
            Self::in_dir(profile_dir)
        } else {
            Self::in_dir(dir)
        }
    }

    /// Those of the version before, in `$MESH_PREVIOUS_BIN_DIR`; `None` where nobody built them.
    pub fn previous() -> Result<Option<Self>> {
        let dir = std::env::var_os(PREVIOUS_BIN_DIR).filter(|dir| !dir.is_empty());
        dir.map(|dir| Self::in_dir(Path::new(&dir))).transpose()
    }

    fn in_dir(dir: &Path) -> Result<Self> {
        let program = |name: &str| {
            let path = dir.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(Error::Failed(format!(
                "no `{name}` in {}; build it with `cargo build -p meshd -p mesh-cli`",
                dir.display()
            )))
        };
        Ok(Self { meshd: program("meshd")?, mesh: program("mesh")? })
    }
}

/// Builds the programs into `profile_dir` (`target/debug`), once per process.
fn build_once(profile_dir: &Path) -> Result<()> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build(profile_dir).map_err(|error| error.to_string()))
        .clone()
        .map_err(Error::Failed)
}

fn build(profile_dir: &Path) -> Result<()> {
    let target_dir = profile_dir.parent().ok_or("no target directory")?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    // The whole workspace, as the test run itself: fewer packages would mean other features, and
    // every dependency once more.
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace_root())
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
        .args(
            cfg!(feature = "failpoints")
                .then_some("--features=meshd/failpoints,mesh-cli/failpoints"),
        )
        .arg("--target-dir")
        .arg(target_dir)
        .output()
        .context("run cargo")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "building meshd and mesh failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// The workspace this program was built from.
pub fn workspace_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
