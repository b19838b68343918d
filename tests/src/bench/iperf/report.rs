//! What `iperf3 --json` says.

use serde::Deserialize;

use crate::error::{Error, Result};

/// What a transfer came to, as its receiver saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TcpResult {
    /// Bytes of payload that arrived.
    pub bytes: f64,
    /// In Gbit/s.
    pub gbits: f64,
}

impl TcpResult {
    /// In units of 2^30 bytes.
    pub fn gib(&self) -> f64 {
        self.bytes / f64::from(1 << 30)
    }
}

#[derive(Deserialize)]
struct Document {
    error: Option<String>,
    #[serde(default)]
    end: End,
}

#[derive(Default, Deserialize)]
struct End {
    sum_received: Option<Sum>,
}

#[derive(Deserialize)]
struct Sum {
    bytes: f64,
    bits_per_second: f64,
}

/// Reads the document of a client.
pub(crate) fn parse(text: &str) -> Result<TcpResult> {
    let document: Document = serde_json::from_str(text)
        .map_err(|error| Error::Failed(format!("iperf3 said no JSON ({error}): {text}")))?;
    if let Some(error) = document.error {
        return Err(Error::Failed(format!("iperf3: {error}")));
    }
    let sum = document.end.sum_received.filter(|sum| sum.bytes > 0.0);
    let sum = sum.ok_or_else(|| Error::Failed("iperf3: nothing arrived".to_owned()))?;
    Ok(TcpResult { bytes: sum.bytes, gbits: sum.bits_per_second / 1e9 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receivers_sum_counts() {
        let text = r#"{"start": {"version": "iperf 3.12"}, "intervals": [], "end": {
            "sum_sent": {"bytes": 2200000000, "bits_per_second": 2200000000.0, "retransmits": 7},
            "sum_received": {"start": 0, "seconds": 8.0, "bytes": 2147483648, "bits_per_second": 2.147e9}}}"#;
        let result = parse(text).unwrap();
        assert_eq!(result.gib(), 2.0);
        assert_eq!(result.gbits, 2.147);
    }

    #[test]
    fn a_failed_run_says_why() {
        let refused = r#"{"start": {}, "intervals": [], "end": {},
            "error": "unable to connect to server: Connection refused"}"#;
        assert!(parse(refused).unwrap_err().to_string().contains("Connection refused"));
        assert!(parse(r#"{"end": {}}"#).unwrap_err().to_string().contains("nothing arrived"));
        let empty = r#"{"end": {"sum_received": {"bytes": 0, "bits_per_second": 0}}}"#;
        assert!(parse(empty).is_err());
        assert!(parse("iperf3: not found").unwrap_err().to_string().contains("not found"));
    }
}
