#include "nn/state.h"

#include "core/file.h"
#include "core/ops.h"
#include "nn/activation.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <string>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
using gradus::testing::TemporaryFolder;

namespace {

nn::Sequential make_model(std::uint64_t seed) {
  Rng rng(seed);
  return nn::Sequential{nn::Linear(3, 4, rng), nn::Tanh{}, nn::Linear(4, 2, rng)};
}

std::vector<double> all_values(const nn::Sequential& model) {
  std::vector<double> values;
  for (const auto& [name, tensor] : nn::state_dict(model))
    for (const double value : tensor.to_vector()) values.push_back(value);
  return values;
}

}  // namespace

TEST_CASE("a state moves from one model to another") {
  const nn::Sequential from = make_model(1);
  nn::Sequential to = make_model(2);
  CHECK(all_values(from) != all_values(to));
  const NamedTensors before = nn::named_parameters(to);
  nn::load_state_dict(to, nn::state_dict(from));
  CHECK(all_values(from) == all_values(to));
  CHECK(nn::named_parameters(to)[0].tensor.is_same(before[0].tensor));  // optimizers keep their hold

  nn::load_state_dict(to, nn::state_dict(to));
  CHECK(all_values(from) == all_values(to));
}

TEST_CASE("weights survive a file") {
  const TemporaryFolder folder;
  const nn::Sequential from = make_model(1);
  nn::save_weights(from, folder / "model.safetensors", {{"epoch", "3"}});
  nn::Sequential to = make_model(2);
  nn::load_weights(to, folder / "model.safetensors");
  CHECK(all_values(from) == all_values(to));
  CHECK(load_safetensors_header(folder / "model.safetensors").metadata.at("epoch") == "3");
}

TEST_CASE("loading reports everything that does not fit, and then changes nothing") {
  nn::Sequential model = make_model(1);
  const auto before = all_values(model);
  const NamedTensors state{{"0.weight", zeros({4, 5})},
                           {"0.bias", zeros({4}, DType::f64)},
                           {"2.bias", zeros({2})},
                           {"2.bias", ones({2})},
                           {"3.weight", zeros({7})}};
  CHECK(error_of([&] { nn::load_state_dict(model, state); }) ==
        "load_state_dict: the state does not fit the model: 1 missing, 1 unexpected, 1 other shape, 1 other dtype, 1 "
        "given "
        "twice\n"
        "  missing: \"2.weight\"  f32 [2, 4]\n"
        "  unexpected: \"3.weight\"  f32 [7]\n"
        "  other shape: \"0.weight\"  model f32 [4, 3], given f32 [4, 5]\n"
        "  other dtype: \"0.bias\"  model f32 [4], given f64 [4]\n"
        "  given twice: \"2.bias\"\n"
        "  nothing was changed\n"
        "  hint: to(x, dtype) converts a tensor");
  CHECK(all_values(model) == before);
}

TEST_CASE("a file of another architecture is named") {
  const TemporaryFolder folder;
  Rng rng(1);
  nn::save_weights(nn::Linear(3, 4, rng), folder / "other.safetensors");
  nn::Sequential model = make_model(1);
  CHECK_THAT(error_of([&] { nn::load_weights(model, folder / "other.safetensors"); }),
             Contains("other.safetensors\" does not fit the model: 4 missing, 2 unexpected"));
}
