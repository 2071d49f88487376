// The state of a model: its parameters and buffers by name, in memory and as weight files.
#pragma once

#include "core/named.h"
#include "core/safetensors.h"
#include "nn/module.h"

#include <string>

namespace gradus::nn {

namespace detail {
NamedTensors detach_all(const std::vector<StateEntry>& entries);
void load_all(const std::vector<StateEntry>& entries, const NamedTensors& state, const std::string& what);
}  // namespace detail

/// Parameters and buffers, in the order of the fields, without history. They share memory with the model: clone() them
/// to keep a snapshot. A tied parameter is listed once, under its first name.
template <class Model>
NamedTensors state_dict(const Model& model) {
  return detail::detach_all(detail::list_state(model));
}

/// Copies values into the model's own tensors, so that optimizers and gradients go on referring to them. Strict: every
/// name, shape and dtype must fit, else one Error lists all that is missing, unexpected or different, and nothing
/// changes.
template <class Model>
void load_state_dict(Model& model, const NamedTensors& state) {
  detail::load_all(detail::list_state(model), state, "load_state_dict: the state");
}

/// Writes state_dict(model) as a safetensors file, which PyTorch's load_file reads; a crash leaves the old file or the
/// new.
template <class Model>
void save_weights(const Model& model, const std::string& path, const Metadata& metadata = {}) {
  save_safetensors(path, state_dict(model), metadata);
}

/// load_state_dict from a safetensors file.
template <class Model>
void load_weights(Model& model, const std::string& path) {
  detail::load_all(detail::list_state(model), load_safetensors(path), "load_weights: \"" + path + "\"");
}

}  // namespace gradus::nn
