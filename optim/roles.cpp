#include "optim/roles.h"

#include "core/ops.h"

namespace gradus::optim {
namespace {

/// Whether one of the dotted parts of the name, in small letters, is in the list.
bool has_part(const std::string& name, std::initializer_list<std::string_view> words) {
  std::string part;
  const auto known = [&] {
    for (const std::string_view word : words)
      if (part == word) return true;
    return false;
  };
  for (const char c : name + ".") {
    if (c != '.') {
      part += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      continue;
    }
    if (known()) return true;
    part.clear();
  }
  return false;
}

bool is_embedding(const std::string& name) {
  return has_part(name, {"embed", "embedding", "embeddings", "emb", "wte", "wpe", "token_embedding",
                         "position_embedding", "tok_emb", "pos_emb"});
}

bool is_head(const std::string& name) {
  return has_part(name, {"head", "lm_head", "classifier", "unembed", "output", "logits"});
}

}  // namespace

HiddenWeights::HiddenWeights(const NamedTensors& all) {
  for (const NamedTensor& parameter : all) {
    if (parameter.tensor.rank() < 2) continue;
    if (is_head(parameter.name)) {
      last_matrix_.clear();
      return;
    }
    last_matrix_ = parameter.name;
  }
}

bool HiddenWeights::operator()(const NamedTensor& parameter) const {
  return parameter.tensor.rank() >= 2 && !is_embedding(parameter.name) && !is_head(parameter.name) &&
         parameter.name != last_matrix_;
}

Parted part_by_role(const NamedTensors& all, Takes takes) {
  if (takes == Takes::hidden) return part_by(all, HiddenWeights(all));
  return part_by(all, [](const NamedTensor& parameter) { return parameter.tensor.rank() >= 2; });
}

Tensor as_matrix(const Tensor& parameter) {
  const Index rows = parameter.size(0);
  return reshape(parameter, {rows, rows == 0 ? Index{0} : parameter.numel() / rows});
}

void check_is_matrix(std::string_view method, const NamedTensor& parameter) {
  GRADUS_CHECK(parameter.tensor.rank() >= 2, std::string(method) + ": parameter \"" + parameter.name + "\" is " +
                                                 describe(parameter.tensor) +
                                                 "\n  needs a matrix, or a kernel to be read as [out, the rest]\n"
                                                 "  hint: optim::with_adamw gives the others to AdamW");
}

}  // namespace gradus::optim
