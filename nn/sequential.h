// Layers in a row.
#pragma once

#include "nn/module.h"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradus::nn {

/// Owns one module of any type: what a list of different layers is made of.
class AnyModule {
 public:
  // In this order: asking whether AnyModule itself is a Module would ask for this constructor again.
  template <class T>
  requires(!std::same_as<T, AnyModule> && Module<T>) AnyModule(T module)
      : holder_(std::make_unique<Holder<T>>(std::move(module))) {}

  Tensor operator()(const Tensor& x) const { return holder_->forward(x); }
  void visit(const std::string& path, Visitor& visitor) const { holder_->visit(path, visitor); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual Tensor forward(const Tensor& x) = 0;
    virtual void visit(const std::string& path, Visitor& visitor) = 0;
  };
  template <class T>
  struct Holder final : Interface {
    explicit Holder(T&& m) : module(std::move(m)) {}
    Tensor forward(const Tensor& x) override { return module(x); }
    void visit(const std::string& path, Visitor& visitor) override { nn::visit(module, path, visitor); }
    T module;
  };

  std::unique_ptr<Interface> holder_;
};

/// Applies its layers one after another; their parameters are named "0.weight", "0.bias", "2.weight", ... as in
/// PyTorch.
///
///   nn::Sequential model{nn::Linear(784, 512, rng), nn::ReLU{}, nn::Linear(512, 10, rng)};
///
/// Write braces: they fix the order in which the layers draw from `rng`; with parentheses the compiler may choose it.
/// A function without captures is a layer, too: `[](const Tensor& x) { return square(x); }`.
struct Sequential {
  std::vector<AnyModule> layers;

  Sequential() = default;
  template <class... Layers>
  requires((sizeof...(Layers) > 1 || !(std::same_as<Layers, Sequential> || ...)) &&
           (Module<Layers> && ...)) explicit Sequential(Layers... modules) {
    layers.reserve(sizeof...(modules));
    (layers.emplace_back(std::move(modules)), ...);
  }

  /// Appends a layer; for lists whose length is known at run time.
  Sequential& add(AnyModule layer) {
    layers.push_back(std::move(layer));
    return *this;
  }

  Tensor operator()(Tensor x) const {
    for (const auto& layer : layers) x = layer(x);
    return x;
  }
  static auto fields(auto& self) { return named("", self.layers); }
};

}  // namespace gradus::nn
