//! The stages of recsim on CPU cores: dfdx autodiff with fused layers, rayon over users, exact search.
