//! The checks of a world's arrays: each error is found and named.

#[cfg(feature = "alloc")]
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};
use recsim_core::world::{World, WorldArrays, WorldError, WorldShape};

#[cfg(feature = "alloc")]
const PRETRAINED_LEN: usize = 4;

#[cfg(feature = "alloc")]
#[test]
fn world_error_names_every_flaw() {
    type Corrupt = fn(&mut OwnedWorld);
    let cases: &[(Corrupt, &str)] = &[
        (|world| world.shape.users = 0, "the world's `users` is 0"),
        (|world| world.shape.items = 0, "the world's `items` is 0"),
        (|world| world.shape.clusters = 0, "the world's `clusters` is 0"),
        (|world| world.shape.dimensions = 0, "the world's `dimensions` is 0"),
        (|world| world.shape.pretrained_len = 0, "the world's `pretrained_len` is 0"),
        (|world| world.shape.users = 1 << 32, "the world's `users` is 4294967296, and must be at most 4294967295"),
        (|world| world.shape.items = 1 << 32, "the world's `items` is 4294967296"),
        (|world| world.user_belief.truncate(5), "`user.belief` has 5 elements, and must have 6"),
        (|world| world.user_embedding.push(0.0), "`user.embedding` has 7 elements"),
        (|world| world.item_embedding[5] = f32::NAN, "`item.embedding` is not a finite number at row 2, column 1"),
        (|world| world.item_distance[3] = f32::INFINITY, "`item.distance` is not a finite number at row 3"),
        (|world| world.item_distance[3] = -0.5, "`item.distance` is -0.5 at row 3, column 0"),
        (|world| world.item_cluster[7] = 2, "`item.cluster` is 2 at row 7"),
        (|world| world.user_pretrained[PRETRAINED_LEN] = 9, "`user.pretrained` is 9 at row 1, column 0"),
        (|world| world.user_pretrained[1] = world.user_pretrained[3], "twice at row 0"),
        (|world| world.target[0] = -0.1, "`target` is -0.1"),
        (|world| world.target.fill(0.0), "`target` sums to 0"),
        (|world| world.target.fill(0.6), "`target` sums to 1.2"),
        (|world| world.user_belief[3] = world.target[1] * 1.01, "`user.belief` is 0.4"),
        (|world| world.user_belief[2] = -1e-9, "at row 1, column 0, and must be from 0 to the target's share"),
    ];
    assert!(World::new(valid_world().shape, valid_world().arrays()).is_ok());
    for (corrupt, message) in cases {
        let mut world = valid_world();
        corrupt(&mut world);
        let error = World::new(world.shape, world.arrays()).expect_err(message).to_string();
        assert!(error.contains(message), "{error:?} does not contain {message:?}");
    }
}

#[test]
fn world_error_finds_repeats_in_lists_of_any_length() {
    for pretrained_len in [2, 100, 101, 1000] {
        let shape = WorldShape { users: 2, items: pretrained_len + 1, clusters: 1, dimensions: 1, pretrained_len };
        let zeros = vec![0.0; pretrained_len + 1];
        let mut lists: Vec<u32> = (0..pretrained_len as u32).chain((1..=pretrained_len as u32).rev()).collect();
        let world = |lists: &[u32]| {
            let arrays = WorldArrays {
                item_embedding: &zeros,
                item_cluster: &vec![0; pretrained_len + 1],
                item_distance: &zeros,
                user_belief: &[0.0; 2],
                user_embedding: &[0.0; 2],
                user_pretrained: lists,
                target: &[1.0],
            };
            World::new(shape, arrays).map(drop)
        };
        assert_eq!(world(&lists), Ok(()));
        lists[2 * pretrained_len - 1] = lists[pretrained_len];
        assert_eq!(world(&lists), Err(WorldError::Repeat { user: 1, item: pretrained_len as u32 }));
    }
}

/// A valid world of three users, nine items, two clusters and two dimensions.
#[cfg(feature = "alloc")]
fn valid_world() -> OwnedWorld {
    let config = SyntheticWorldConfig {
        users: 3,
        items: 9,
        clusters: 2,
        dimensions: 2,
        pretrained_len: PRETRAINED_LEN,
        seed: 1,
    };
    let mut world = generate(&config, brute_force_lists);
    world.target.copy_from_slice(&[0.5, 0.4]);
    world.user_belief.fill(0.1);
    world
}
