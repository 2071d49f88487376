// Tensor: a cheap handle to a strided view of pooled storage. Copying a Tensor shares; clone() copies.
#pragma once

#include "core/dtype.h"
#include "core/memory.h"
#include "core/shape.h"

#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace gradus {

class Rng;
class Tensor;

namespace detail {

struct Node;  // core/autograd.h

struct TensorImpl {
  ReferenceCount references;
  DType dtype = DType::f32;
  bool contiguous = true;  // dense row-major
  Storage* storage = nullptr;
  void* data = nullptr;  // first element; inside storage
  Node* node = nullptr;  // what made this tensor, or its leaf node; null when it needs no gradient
  Index numel = 0;
  Shape shape;
  Strides strides;

  void release() noexcept {
    if (references.drop()) destroy();
  }
  void destroy() noexcept;
};

}  // namespace detail

class Tensor {
 public:
  /// An empty handle; defined() is false. Everything else needs a defined tensor.
  Tensor() = default;
  Tensor(const Tensor& other) : impl_(other.impl_) {
    if (impl_) impl_->references.add();
  }
  Tensor(Tensor&& other) noexcept : impl_(other.impl_) { other.impl_ = nullptr; }
  Tensor& operator=(const Tensor& other) {
    Tensor copy(other);
    std::swap(impl_, copy.impl_);
    return *this;
  }
  Tensor& operator=(Tensor&& other) noexcept {
    std::swap(impl_, other.impl_);
    return *this;
  }
  ~Tensor() {
    if (impl_) impl_->release();
  }

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }

  const Shape& shape() const { return impl_->shape; }
  /// Size along one axis; negative axes count from the back.
  Index size(int axis) const { return impl_->shape[normalize_axis(axis, rank(), "size")]; }
  const Strides& strides() const { return impl_->strides; }
  int rank() const { return impl_->shape.rank(); }
  Index numel() const { return impl_->numel; }
  DType dtype() const { return impl_->dtype; }
  std::size_t bytes() const { return static_cast<std::size_t>(impl_->numel) * size_of(impl_->dtype); }
  bool is_contiguous() const { return impl_->contiguous; }

  /// The elements in row-major order. T must match dtype(), and the tensor must be contiguous (see `contiguous`).
  template <class T>
  std::span<const T> data() const {
    check_access(dtype_of<T>);
    return {static_cast<const T*>(impl_->data), static_cast<std::size_t>(impl_->numel)};
  }
  /// The same for writing. Counts as a change: a backward pass that saved this tensor will refuse to use it.
  template <class T>
  std::span<T> mutable_data() {
    check_access(dtype_of<T>);
    mark_written("host code");
    return {static_cast<T*>(impl_->data), static_cast<std::size_t>(impl_->numel)};
  }
  /// The value of a one-element tensor.
  double item() const;
  /// All elements, converted to double, in row-major order. Works for views too.
  std::vector<double> to_vector() const;

  // --- autograd (core/autograd.h has backward and grad) ---
  bool requires_grad() const { return impl_->node != nullptr; }
  /// Makes a leaf collect gradients, or stop. Only for floating tensors that no recorded op made.
  Tensor& requires_grad_(bool on = true);
  bool is_leaf() const;
  /// The gradient that backward() collected, or an empty handle. Always contiguous, never shared with another tensor.
  Tensor grad() const;
  /// Replaces the collected gradient; an empty handle removes it.
  void set_grad(Tensor grad) const;
  /// The same values without history.
  Tensor detach() const;
  /// A name for error messages; parameters get their path. Only leaves that require grad keep one.
  void set_name(std::string name) const;
  const std::string& name() const;

  // --- values in place: leaves and tensors without history only ---
  /// Overwrites with the values of `source` (same shape, any dtype).
  Tensor& copy_(const Tensor& source);
  Tensor& fill_(double value);
  /// Notes that `writer` (a string literal, for messages) changed the data. Kernels and optimizers call it.
  void mark_written(const char* writer) {
    ++impl_->storage->version;
    impl_->storage->last_writer = writer;
  }

  MemTag tag() const { return impl_->storage->tag; }
  void set_tag(MemTag tag) const { impl_->storage->retag(tag); }

  /// True when both handles are the same tensor (not merely equal values).
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }
  bool shares_storage_with(const Tensor& other) const { return impl_->storage == other.impl_->storage; }

  // --- for kernels and the engine ---
  detail::TensorImpl* impl() const { return impl_; }
  static Tensor adopt(detail::TensorImpl* impl) {
    Tensor tensor;
    tensor.impl_ = impl;
    return tensor;
  }
  template <class T>
  const T* ptr() const {
    return static_cast<const T*>(impl_->data);
  }
  template <class T>
  T* mutable_ptr() const {
    return static_cast<T*>(impl_->data);
  }

 private:
  void check_access(DType wanted) const {
    if (impl_->dtype != wanted || !impl_->contiguous) [[unlikely]]
      fail_access(wanted);
  }
  [[noreturn]] void fail_access(DType wanted) const;

  detail::TensorImpl* impl_ = nullptr;
};

// --- making tensors ---

/// Storage of this shape with unspecified contents.
Tensor empty(const Shape& shape, DType dtype = DType::f32);
Tensor zeros(const Shape& shape, DType dtype = DType::f32);
Tensor ones(const Shape& shape, DType dtype = DType::f32);
Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
Tensor empty_like(const Tensor& x);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, double value);
/// A tensor of rank 0.
Tensor scalar(double value, DType dtype = DType::f32);
/// 0, 1, ..., count - 1.
Tensor arange(Index count, DType dtype = DType::i64);
/// The identity matrix, [size, size].
Tensor eye(Index size, DType dtype = DType::f32);
/// Copies host values; the number of values must match the shape.
template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape);
/// tensor({1, 2, 3}): rank 1; tensor({1, 2, 3, 4}, {2, 2}): of that shape.
Tensor tensor(std::initializer_list<double> values, DType dtype = DType::f32);
Tensor tensor(std::initializer_list<double> values, const Shape& shape, DType dtype = DType::f32);
Tensor tensor(const std::vector<double>& values, const Shape& shape, DType dtype = DType::f32);
/// i64 indices or class labels of rank 1.
Tensor indices(std::span<const Index> values);
Tensor indices(std::initializer_list<Index> values);

/// Independent normal values; advances rng. f32 or f64.
Tensor randn(const Shape& shape, Rng& rng, DType dtype = DType::f32);
/// Independent uniform values in [low, high); advances rng.
Tensor rand(const Shape& shape, Rng& rng, double low = 0, double high = 1, DType dtype = DType::f32);
/// A random permutation of 0 .. count - 1, i64; advances rng.
Tensor randperm(Index count, Rng& rng);

/// The values in rows and columns, shortened in the middle where long, with dtype and shape.
std::string to_string(const Tensor& x);
/// "f32 [32, 784]", and the name of a parameter: how error messages show an operand.
std::string describe(const Tensor& x);

}  // namespace gradus
