// Made-up data for tests, documentation and first steps: no files needed. The examples come in random order, so that
// split() is fair.
#pragma once

#include "core/random.h"
#include "data/dataset.h"

namespace gradus::data {

struct SpiralsOptions {
  Index points = 3000;
  Index arms = 3;      // classes
  double turns = 0.6;  // of each arm, from the center to radius 1
  double noise = 0.1;  // standard deviation of the angle, in radians
};
/// Interleaved spiral arms in the unit disc: x f32 [points, 2], y i64 [points], the arm.
TensorDataset spirals(const SpiralsOptions& options, Rng& rng);

struct TwoMoonsOptions {
  Index points = 1000;
  double noise = 0.1;  // standard deviation added to both coordinates
};
/// Two interleaved half circles of radius 1: x f32 [points, 2], y i64 [points], 0 or 1.
TensorDataset two_moons(const TwoMoonsOptions& options, Rng& rng);

struct LinearRegressionOptions {
  Index points = 1000;
  Index features = 10;
  double noise = 0.1;  // standard deviation added to y
};
struct LinearRegression {
  TensorDataset dataset;  // x f32 [points, features] standard normal, y f32 [points, 1]
  Tensor weight;          // f32 [1, features], as nn::Linear has it
  Tensor bias;            // f32 [1]
};
/// y = x weight^T + bias + noise, with standard normal weight and bias.
LinearRegression linear_regression(const LinearRegressionOptions& options, Rng& rng);

}  // namespace gradus::data
