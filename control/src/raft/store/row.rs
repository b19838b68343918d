//! What exists once in a store: rows of [`META`](super::db::META).

use mesh_model::codec::{self, Message};
use redb::ReadableTable;

use super::error::StoreError;

/// A row: its key and its type, together.
pub(super) struct Row<M> {
    key: &'static str,
    of: std::marker::PhantomData<fn() -> M>,
}

impl<M: Message> Row<M> {
    pub(super) const fn new(key: &'static str) -> Self {
        Self { key, of: std::marker::PhantomData }
    }

    pub(super) fn read(
        &self,
        table: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<M>, StoreError> {
        let guard = table.get(self.key).map_err(redb::Error::from)?;
        guard.map(|bytes| Ok(codec::decode(bytes.value())?)).transpose()
    }

    pub(super) fn write(
        &self,
        table: &mut redb::Table<'_, &'static str, &'static [u8]>,
        value: &M,
    ) -> Result<(), StoreError> {
        let bytes = codec::encode(value);
        table.insert(self.key, bytes.as_slice()).map_err(redb::Error::from)?;
        Ok(())
    }
}
