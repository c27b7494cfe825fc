//! Products of single precision by tiles of bfloat16: past what a machine does in single precision itself.
//!
//! A number in a product depends on its row and its column alone, and its terms are added up in one order: neither how many
//! others there are nor how they are cut into pieces changes a bit.

use pulp::Arch;

use super::vectorised;
use crate::InstructionSet;
#[cfg(test)]
use crate::block::plain;
use crate::block::{Block, Side, Sums, TWO};
use crate::gemm::Matrix;
use crate::instructions::{Tiles, fetch};

/// What multiplies blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Multiplier {
    Amx(Tiles),
    /// Plain numbers, to the bit.
    #[cfg(test)]
    Plain,
}

/// Blocks that so many lines, or terms of a sum, have.
pub(super) fn blocks(count: usize) -> usize {
    count.div_ceil(TWO)
}

/// Fills the blocks of a table of lines, `[lines, terms]`, on whose products sums are made, line by line, with what `value` makes of a
/// number and its place in the table's slice.
#[inline(always)]
pub(super) fn fill(arch: Arch, to: &mut [Block], side: Side, table: Matrix<'_>, value: impl Fn(f32, usize) -> f32) {
    let (lines, terms) = table.size();
    assert_eq!(to.len(), blocks(lines) * blocks(terms), "a place for every block");
    vectorised(
        arch,
        #[inline(always)]
        || {
            let mut numbers = [[0.0; TWO]; TWO];
            for (place, block) in to.iter_mut().enumerate() {
                let [line, term] = [place / blocks(terms), place % blocks(terms)].map(|block| block * TWO);
                // It takes long to read what lies here and there, and nobody else foresees it.
                table.window([line, term + TWO], TWO).1.for_each(|(_, ahead)| fetch(ahead));
                let (transposed, lying) = table.window([line, term], TWO);
                let mut filled = 0;
                for (numbers, (start, lying)) in numbers.iter_mut().zip(lying) {
                    // Most are whole: their length is known then.
                    if let Ok(lying) = <&[f32; TWO]>::try_from(lying) {
                        for (lane, (number, &found)) in numbers.iter_mut().zip(lying).enumerate() {
                            *number = value(found, start + lane);
                        }
                    } else {
                        for (lane, (number, &found)) in numbers.iter_mut().zip(lying).enumerate() {
                            *number = value(found, start + lane);
                        }
                        numbers[lying.len()..].fill(0.0);
                    }
                    filled += 1;
                }
                numbers[filled..].fill([0.0; TWO]);
                block.fill(arch, side, &numbers, transposed);
            }
        },
    );
}

impl Multiplier {
    /// That of an instruction set, if this machine has it.
    pub(crate) fn of(isa: InstructionSet) -> Option<Self> {
        match isa {
            InstructionSet::Amx => Tiles::try_new().map(Self::Amx),
            _ => None,
        }
    }

    /// Gives to `take` the products of all lines of `left` with all of `right`: 32 by 32 of them, and which the first two are. A
    /// sum has so many blocks of terms.
    #[inline(always)]
    pub(super) fn multiply(
        self,
        arch: Arch,
        left: &[Block],
        right: &[Block],
        terms: usize,
        take: impl FnMut([usize; 2], &Sums),
    ) {
        match self {
            Self::Amx(tiles) => {
                let tiles = tiles.set_up();
                each(arch, left, right, terms, |left, right, sums| tiles.multiply(left, right, sums), take);
            }
            #[cfg(test)]
            Self::Plain => each(arch, left, right, terms, plain::multiply, take),
        }
    }
}

#[inline(always)]
fn each(
    arch: Arch,
    left: &[Block],
    right: &[Block],
    terms: usize,
    product: impl Fn(&[Block], &[Block], &mut Sums),
    mut take: impl FnMut([usize; 2], &Sums),
) {
    vectorised(
        arch,
        #[inline(always)]
        || {
            let mut sums = Sums([[0.0; TWO]; TWO]);
            // What is on the right stays in the nearest cache for all that is on the left.
            for (column, right) in right.chunks_exact(terms).enumerate() {
                for (row, left) in left.chunks_exact(terms).enumerate() {
                    product(left, right, &mut sums);
                    take([row * TWO, column * TWO], &sums);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use recsim_core::model::rng::{Key, Purpose, uniform};

    use super::super::factor::{Factor, Rows};
    use super::super::product::multiply;
    use super::*;
    use crate::gemm::{self, Onto};
    use crate::isa::Processor;

    /// Numbers of all magnitudes that networks have.
    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        let draw = |n: usize| uniform(Key::new(seed, Purpose::World).fold_in(n as u64));
        (0..count).map(|n| (2.0 * draw(2 * n) - 1.0) * (10.0 * draw(2 * n + 1) - 8.0).exp2()).collect()
    }

    fn product(multiplier: Multiplier, left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
        product_on(Arch::new(), multiplier, left, right)
    }

    fn product_on(arch: Arch, multiplier: Multiplier, left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
        let processor = Processor { arch, multiplier: Some(multiplier) };
        let mut out = vec![f32::NAN; left.size().0 * right.size().1];
        multiply(processor, &mut out, left, right, Onto::Replace);
        let mut sum = vec![1.0; out.len()];
        multiply(processor, &mut sum, left, right, Onto::Add);
        assert!(sum.iter().zip(&out).all(|(sum, out)| sum.is_nan() && out.is_nan() || *sum == 1.0 + out));
        out
    }

    const SIZES: [[usize; 3]; 6] =
        [[1, 1, 1], [32, 32, 32], [33, 64, 31], [5, 100, 70], [64, 512, 40], [3, 133, 1]];

    #[test]
    fn products_are_nearer_than_those_of_single_precision() {
        let [mut error, mut single_error] = [0.0; 2];
        for [rows, terms, columns] in SIZES {
            let (left, right) = (numbers(1, rows * terms), numbers(2, terms * columns));
            let (left, right) = (Matrix::new(&left, terms), Matrix::new(&right, columns));
            let mut single = vec![0.0; rows * columns];
            gemm::multiply(Arch::new(), &mut single, left, right, Onto::Replace);
            let found = product(Multiplier::Plain, left, right);
            for (place, (found, single)) in found.into_iter().zip(single).enumerate() {
                let (row, column) = (place / columns, place % columns);
                let term = |n: usize| f64::from(left.at(row, n)) * f64::from(right.at(n, column));
                let due: f64 = (0..terms).map(term).sum();
                let size: f64 = (0..terms).map(|n| term(n).abs()).sum();
                let off = |number: f32| (f64::from(number) - due) / size;
                // Two units may be left out of each product; 16 of them and then two sums are rounded, and of every 32
                // terms six such sums are added up.
                let units = (2 + 16 + 1 + 6 * terms.div_ceil(TWO)) as f64;
                assert!(off(found).abs() <= units * f64::from(f32::EPSILON) / 2.0, "{found} is not {due}");
                error += off(found).powi(2);
                single_error += off(single).powi(2);
            }
        }
        eprintln!("{:.2} of the error of single precision", f64::sqrt(error / single_error));
        assert!(error < single_error);
    }

    #[test]
    fn tiles_give_what_plain_numbers_give_bit_for_bit() {
        let Some(tiles) = Multiplier::of(InstructionSet::Amx) else {
            eprintln!("SKIPPED: this machine has no tiles");
            return;
        };
        for (n, [rows, terms, columns]) in SIZES.into_iter().enumerate() {
            let (mut left, mut right) =
                (numbers(n as u64 + 3, rows * terms), numbers(n as u64 + 9, terms * columns));
            // Zeros, numbers whose last parts are subnormal, and such whose products are.
            for (place, number) in left.iter_mut().chain(&mut right).enumerate() {
                match place % 7 {
                    0 => *number = 0.0,
                    1 => *number *= 1e-19,
                    2 => *number *= 1e-33,
                    _ => (),
                }
            }
            let (left, right) = (Matrix::new(&left, terms), Matrix::new(&right, columns));
            assert_eq!(product(tiles, left, right), product(Multiplier::Plain, left, right));
        }
    }

    #[test]
    fn a_transpose_is_taken_as_what_it_is() {
        let (rows, terms, columns) = (40, 70, 35);
        let (left, right) = (numbers(4, rows * terms), numbers(5, terms * columns));
        let turn = |table: &[f32], width: usize| -> Vec<f32> {
            (0..table.len()).map(|n| table[n % (table.len() / width) * width + n / (table.len() / width)]).collect()
        };
        let (turned_left, turned_right) = (turn(&left, terms), turn(&right, columns));
        let due = product(Multiplier::Plain, Matrix::new(&left, terms), Matrix::new(&right, columns));
        let left = Matrix::new(&turned_left, rows).transposed();
        let right = Matrix::new(&turned_right, terms).transposed();
        for arch in [Arch::new(), Arch::Scalar] {
            assert_eq!(product_on(arch, Multiplier::Plain, left, right), due);
        }
    }

    #[test]
    fn rows_are_multiplied_alike_whoever_stands_beside_them() {
        let (rows, terms, columns) = (70, 75, 33);
        let (table, matrix) = (numbers(6, rows * terms), numbers(7, terms * columns));
        let due = product(Multiplier::Plain, Matrix::new(&table, terms), Matrix::new(&matrix, columns));
        let processor = Processor { arch: Arch::new(), multiplier: Some(Multiplier::Plain) };
        let factor = Factor::new(processor, Matrix::new(&matrix, columns), &[]);
        let (mut taken, mut sums) = (Rows::default(), Vec::new());
        for (first, count) in [(0, rows), (3, 1), (3, 64), (69, 1)] {
            factor.read(&mut taken, count, &table[first * terms..][..count * terms], terms, |number, _| number);
            factor.multiply(&taken, &mut sums);
            for (sums, due) in
                sums.chunks_exact(factor.stride()).zip(due[first * columns..].chunks_exact(columns)).take(count)
            {
                assert_eq!(sums[..columns], *due, "{count} rows from {first} on");
            }
        }
    }

    #[test]
    fn what_is_no_number_makes_none() {
        for bad in [f32::NAN, -f32::NAN, f32::from_bits(0x7fff_ffff), f32::INFINITY, f32::MAX] {
            for place in 0..3 {
                let mut left = [0.0; 3];
                left[place] = bad;
                for multiplier in Multiplier::of(InstructionSet::Amx).into_iter().chain([Multiplier::Plain]) {
                    let found = product(multiplier, Matrix::new(&left, 3), Matrix::new(&[1.0, 2.0, 3.0], 1));
                    assert!(found[0].is_nan(), "{bad} gives {found:?}");
                }
            }
        }
    }
}
