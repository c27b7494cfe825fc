//! The stages of recsim on an NVIDIA GPU.
