//! What makes a world's arrays a world: each flaw is found, and named.

use recsim_core::world::{
    OwnedWorld, SyntheticWorldConfig, World, WorldArrays, WorldError, WorldShape, brute_force_lists, generate,
};

const LIST: usize = 4;

#[test]
fn every_flaw_is_named() {
    type Spoil = fn(&mut OwnedWorld);
    let cases: &[(Spoil, &str)] = &[
        (|world| world.shape.users = 0, "the world has no users"),
        (|world| world.shape.items = 0, "the world has no items"),
        (|world| world.shape.clusters = 0, "the world has no clusters"),
        (|world| world.shape.dimensions = 0, "the world has no dimensions"),
        (|world| world.shape.pretrained_len = 0, "the world has no list"),
        (|world| world.shape.users = 1 << 32, "the world has 4294967296 users: at most 4294967295"),
        (|world| world.shape.items = 1 << 32, "the world has 4294967296 items"),
        (|world| world.user_belief.truncate(5), "`user.belief` has 5 elements where the sizes ask for 6"),
        (|world| world.user_embedding.push(0.0), "`user.embedding` has 7 elements"),
        (|world| world.item_embedding[5] = f32::NAN, "`item.embedding` is not a finite number at row 2, column 1"),
        (|world| world.item_distance[3] = f32::INFINITY, "`item.distance` is not a finite number at row 3"),
        (|world| world.item_distance[3] = -0.5, "`item.distance` is -0.5 at row 3, column 0"),
        (|world| world.item_cluster[7] = 2, "`item.cluster` is 2 at row 7"),
        (|world| world.user_pretrained[LIST] = 9, "`user.pretrained` is 9 at row 1, column 0"),
        (|world| world.user_pretrained[1] = world.user_pretrained[3], "twice at row 0"),
        (|world| world.target[0] = -0.1, "`target` is -0.1"),
        (|world| world.target.fill(0.0), "`target` sums to 0"),
        (|world| world.target.fill(0.6), "`target` sums to 1.2"),
        (|world| world.user_belief[3] = world.target[1] * 1.01, "`user.belief` is 0.4"),
        (|world| world.user_belief[2] = -1e-9, "at row 1, column 0, and must be from 0 to the target's share"),
    ];
    assert!(World::new(sound().shape, sound().arrays()).is_ok());
    for (spoil, said) in cases {
        let mut world = sound();
        spoil(&mut world);
        let error = World::new(world.shape, world.arrays()).expect_err(said).to_string();
        assert!(error.contains(said), "{error:?} does not say {said:?}");
    }
}

#[test]
fn a_repeat_is_found_in_long_lists_too() {
    for list in [2, 100, 101, 1000] {
        let shape = WorldShape { users: 2, items: list + 1, clusters: 1, dimensions: 1, pretrained_len: list };
        let zeros = vec![0.0; list + 1];
        let mut lists: Vec<u32> = (0..list as u32).chain((1..=list as u32).rev()).collect();
        let world = |lists: &[u32]| {
            let parts = WorldArrays {
                item_embedding: &zeros,
                item_cluster: &vec![0; list + 1],
                item_distance: &zeros,
                user_belief: &[0.0; 2],
                user_embedding: &[0.0; 2],
                user_pretrained: lists,
                target: &[1.0],
            };
            World::new(shape, parts).map(drop)
        };
        assert_eq!(world(&lists), Ok(()));
        lists[2 * list - 1] = lists[list];
        assert_eq!(world(&lists), Err(WorldError::Repeat { user: 1, item: list as u32 }));
    }
}

/// Three users, nine items, two clusters, two dimensions.
fn sound() -> OwnedWorld {
    let recipe =
        SyntheticWorldConfig { users: 3, items: 9, clusters: 2, dimensions: 2, pretrained_len: LIST, seed: 1 };
    let mut arrays = generate(&recipe, brute_force_lists);
    arrays.target.copy_from_slice(&[0.5, 0.4]);
    arrays.user_belief.fill(0.1);
    arrays
}
