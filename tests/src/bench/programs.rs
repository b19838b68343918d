//! Where programs that are not ours are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The executable called `name`: a path, or a name in `$PATH`.
pub fn find(name: &str) -> Result<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Error::Failed(format!("there is no {name}")))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons where a user's $PATH does not look.
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| Error::Failed(format!("{name} is not installed")))
}

/// The first line a program says about its version.
pub fn version(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&said).into_owned();
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        let shell = find("sh").unwrap();
        assert_eq!(find(shell.to_str().unwrap()).unwrap(), shell);
        assert!(find("/nowhere/sh").unwrap_err().to_string().contains("/nowhere/sh"));
        let missing = find("no-such-program-anywhere").unwrap_err().to_string();
        assert!(missing.contains("no-such-program-anywhere is not installed"));
    }
}
