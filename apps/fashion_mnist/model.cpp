// The classifier: built from the widths of its layers, or from the weights of a checkpoint.
#include "apps/fashion_mnist/fashion_mnist.h"
#include "core/safetensors.h"
#include "nn/activation.h"
#include "nn/linear.h"
#include "nn/state.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <utility>

namespace gradus::apps {
namespace {

/// The widths of the hidden layers in a weight file: the rows of the matrices "0.weight", "2.weight", ..., but the
/// last.
std::vector<Index> hidden_layers(const std::string& file) {
  std::map<int, Index> rows;  // by number of the layer
  for (const auto& entry : load_safetensors_header(file).entries) {
    int layer = 0, length = 0;
    const bool matrix = std::sscanf(entry.name.c_str(), "%4d.weight%n", &layer, &length) == 1 &&
                        length == static_cast<int>(entry.name.size()) && entry.shape.rank() == 2;
    if (matrix) rows[layer] = entry.shape[0];
  }
  if (rows.empty()) fail(fmt::format("\"{}\" is not a classifier of this app: it holds no matrix \"0.weight\"", file));
  rows.erase(std::prev(rows.end()));
  std::vector<Index> hidden;
  for (const auto& [layer, width] : rows) hidden.push_back(width);
  return hidden;
}

}  // namespace

nn::Sequential build_model(const std::vector<Index>& hidden, Rng& rng) {
  nn::Sequential model;
  Index width = kPixels;
  for (const Index next : hidden) {
    model.add(nn::Linear(width, next, rng)).add(nn::ReLU{});
    width = next;
  }
  model.add(nn::Linear(width, kClasses, rng));
  return model;
}

std::string describe_model(const std::vector<Index>& hidden) {
  std::string text = std::to_string(kPixels);
  for (const Index width : hidden) text += fmt::format("-{}", width);
  return fmt::format("{}-{}", text, kClasses);
}

nn::Sequential load_model(const std::string& checkpoint, std::optional<std::vector<Index>> hidden) {
  namespace fs = std::filesystem;
  std::string file = checkpoint;
  std::error_code error;
  if (fs::is_directory(file, error)) {
    file = (fs::path(file) / kWeightFile).string();
    if (!fs::exists(file, error))
      fail(fmt::format(
          "checkpoint \"{}\" holds no {}\n  hint: give the folder of a training run, or a .safetensors file",
          checkpoint, kWeightFile));
  }
  if (!hidden) hidden = hidden_layers(file);
  Rng rng;
  nn::Sequential model = build_model(*hidden, rng);
  nn::load_weights(model, file);
  nn::eval(model);
  return model;
}

}  // namespace gradus::apps
