//! One test suite over any recsim backend, golden vectors, and the Shadow backend.
