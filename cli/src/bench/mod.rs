//! `recsim bench`.
pub(crate) fn run(_: &crate::arguments::Bench) -> anyhow::Result<()> {
    Ok(())
}
