// Which parameters a method for matrices takes, and the AdamW beside it for the others.
#pragma once

#include "optim/adam.h"
#include "optim/combined.h"

#include <memory>
#include <string>
#include <utility>

namespace gradus::optim {

/// What a method for matrices is given: hidden weights only, or everything with two or more axes.
enum class Takes { hidden, matrices };
constexpr std::array<std::string_view, 2> names_of(Takes) { return {"hidden", "matrices"}; }

/// Tells hidden weights from the rest, as the authors of Muon advise. The rest are: parameters with fewer than two
/// axes; embeddings and heads, known by a part of their name (embed, embedding, emb, wte, wpe, head, lm_head,
/// classifier, unembed, output, logits); and, where no name tells the head, the last parameter with two or more axes.
/// Shape alone cannot tell: embeddings and heads are matrices as well.
class HiddenWeights {
 public:
  explicit HiddenWeights(const NamedTensors& all);
  bool operator()(const NamedTensor& parameter) const;

 private:
  std::string last_matrix_;  // the head, where no name tells; else ""
};

struct Parted {
  NamedTensors taken, rest;
};
/// Parts the list by a predicate on NamedTensor.
template <class Where>
Parted part_by(const NamedTensors& all, const Where& where) {
  Parted parted;
  for (const NamedTensor& parameter : all) (where(parameter) ? parted.taken : parted.rest).push_back(parameter);
  return parted;
}
Parted part_by_role(const NamedTensors& all, Takes takes);

/// The AdamW that the authors of Muon run beside it.
inline AdamWOptions auxiliary_adamw() {
  AdamWOptions options;
  options.lr = 3e-4;
  options.betas = {0.9, 0.95};
  options.eps = 1e-10;
  options.weight_decay = 0;
  return options;
}

/// Method on the hidden weights and AdamW on the rest, under one object; `where` overrides the choice:
///   auto muon = optim::with_adamw<optim::Muon>(parameters, {.lr = 0.02}, optim::auxiliary_adamw(),
///                                              optim::HiddenWeights(parameters));
/// Options of the AdamW are reached as "aux.lr". A part without parameters is left out; its options are then unknown.
template <class Method, class Where>
std::unique_ptr<Combined> with_adamw(const NamedTensors& all, const typename Method::Options& options,
                                     const AdamWOptions& auxiliary, const Where& where) {
  Parted parted = part_by(all, where);
  auto both = std::make_unique<Combined>(std::string(Method::kName));
  if (!parted.taken.empty()) both->add("", std::make_unique<Method>(std::move(parted.taken), options));
  if (!parted.rest.empty()) both->add("aux", std::make_unique<AdamW>(std::move(parted.rest), auxiliary));
  return both;
}

/// [out, the rest]: how a kernel of a convolution is read as a matrix. A view.
Tensor as_matrix(const Tensor& parameter);
/// Error unless the parameter has at least two axes.
void check_is_matrix(std::string_view method, const NamedTensor& parameter);

}  // namespace gradus::optim
