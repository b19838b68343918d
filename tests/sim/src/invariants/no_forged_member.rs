//! Nobody comes in without the secret of an invite the root has signed.

use mesh_control::command::Outcome;

use super::Violation;

/// A request that was not signed with its invite's secret came to `outcome`.
pub(crate) fn check(outcome: &Outcome) -> Result<(), Violation> {
    match outcome {
        Outcome::Refused(_) => Ok(()),
        other => {
            let message = format!("a request signed with a made-up secret came to {other:?}");
            Err(Violation::new("no_forged_member", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::MemberId;
    use mesh_model::wire::join::JoinRefusal;

    use super::*;

    #[test]
    fn only_a_refusal_will_do() {
        check(&Outcome::Refused(JoinRefusal::Used.into())).unwrap();
        assert!(check(&Outcome::Departed(MemberId(3))).is_err());
    }
}
