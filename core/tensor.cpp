#include "core/tensor.h"

#include "core/kernels/copy.h"
#include "core/leaf.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gradus {
namespace detail {
namespace {

TensorImpl* new_impl() { return new (pool_allocate(sizeof(TensorImpl))) TensorImpl; }

bool dense(const Shape& shape, const Strides& strides) {
  Index step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != step) return shape.numel() == 0;
    step *= shape[i];
  }
  return true;
}

}  // namespace

void TensorImpl::destroy() noexcept {
  if (node) {
    if (node->is_leaf) static_cast<LeafNode*>(node)->leaf = nullptr;
    node->release();
  }
  if (storage) storage->release();
  this->~TensorImpl();
  pool_free(this, sizeof(TensorImpl));
}

Tensor view_of(const Tensor& x, const Shape& shape, const Strides& strides, Index offset) {
  TensorImpl* impl = new_impl();
  impl->dtype = x.dtype();
  impl->storage = x.impl()->storage;
  impl->storage->retain();
  impl->data = static_cast<char*>(x.impl()->data) + offset * static_cast<Index>(size_of(x.dtype()));
  impl->numel = shape.numel();
  impl->shape = shape;
  impl->strides = strides;
  impl->contiguous = dense(shape, strides);
  return Tensor::adopt(impl);
}

}  // namespace detail

// --- making tensors --------------------------------------------------------------------------------------------------

namespace {

constexpr Index kMaxElements = std::numeric_limits<Index>::max() / 16;  // so that bytes can be counted

[[noreturn, gnu::noinline]] void fail_shape(const Shape& shape, DType dtype) {
  for (const Index size : shape)
    GRADUS_CHECK(size >= 0, fmt::format("tensor: negative size in shape {}", to_string(shape)));
  fail(fmt::format("tensor: {} {} has more bytes than can be counted", name_of(dtype), to_string(shape)));
}

}  // namespace

Tensor empty(const Shape& shape, DType dtype) {
  detail::TensorImpl* impl = detail::new_impl();
  Tensor result = Tensor::adopt(impl);  // owns impl if a later line throws
  impl->dtype = dtype;
  impl->shape = shape;
  // In place: strides returned by value would be loaded right after they were stored, in wider pieces, and that stalls.
  impl->strides = shape;
  Index numel = 1;
  bool overflow = false;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    impl->strides[i] = numel;
    overflow = shape[i] < 0 || __builtin_mul_overflow(numel, shape[i], &numel) || overflow;
  }
  if (overflow || numel > kMaxElements) [[unlikely]]
    fail_shape(shape, dtype);
  impl->storage = detail::Storage::make(static_cast<std::size_t>(numel) * size_of(dtype));
  impl->data = impl->storage->data();
  impl->numel = numel;
  return result;
}

Tensor full(const Shape& shape, double value, DType dtype) {
  Tensor result = empty(shape, dtype);
  kernels::fill(dtype, result.impl()->data, result.numel(), value);
  return result;
}
Tensor zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor empty_like(const Tensor& x) { return empty(x.shape(), x.dtype()); }
Tensor zeros_like(const Tensor& x) { return full(x.shape(), 0, x.dtype()); }
Tensor ones_like(const Tensor& x) { return full(x.shape(), 1, x.dtype()); }
Tensor full_like(const Tensor& x, double value) { return full(x.shape(), value, x.dtype()); }
Tensor scalar(double value, DType dtype) { return full({}, value, dtype); }

Tensor arange(Index count, DType dtype) {
  GRADUS_CHECK(count >= 0, fmt::format("arange: negative count {}", count));
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  return tensor(values, {count}, dtype);
}

Tensor eye(Index size, DType dtype) {
  std::vector<double> values(static_cast<std::size_t>(std::max<Index>(size, 0) * size));
  for (Index i = 0; i < size; ++i) values[static_cast<std::size_t>(i * size + i)] = 1;
  return tensor(values, {size, size}, dtype);
}

template <class T>
Tensor from_span(std::span<const T> values, const Shape& shape) {
  Tensor result = empty(shape, dtype_of<T>);
  GRADUS_CHECK(static_cast<Index>(values.size()) == result.numel(),
               fmt::format("tensor: {} values do not fill shape {}, which holds {}", values.size(), to_string(shape),
                           result.numel()));
  std::copy(values.begin(), values.end(), result.mutable_ptr<T>());
  return result;
}
template Tensor from_span<float>(std::span<const float>, const Shape&);
template Tensor from_span<double>(std::span<const double>, const Shape&);
template Tensor from_span<std::int64_t>(std::span<const std::int64_t>, const Shape&);
template Tensor from_span<bf16>(std::span<const bf16>, const Shape&);

Tensor tensor(const std::vector<double>& values, const Shape& shape, DType dtype) {
  const Tensor exact = from_span<double>(values, shape);
  if (dtype == DType::f64) return exact;
  Tensor result = empty(shape, dtype);
  return result.copy_(exact);
}
Tensor tensor(std::initializer_list<double> values, const Shape& shape, DType dtype) {
  return tensor(std::vector<double>(values), shape, dtype);
}
Tensor tensor(std::initializer_list<double> values, DType dtype) {
  return tensor(std::vector<double>(values), {static_cast<Index>(values.size())}, dtype);
}
Tensor indices(std::span<const Index> values) { return from_span<Index>(values, {static_cast<Index>(values.size())}); }
Tensor indices(std::initializer_list<Index> values) {
  return indices(std::span<const Index>(values.begin(), values.size()));
}

// --- the handle
// --------------------------------------------------------------------------------------------------------

double Tensor::item() const {
  GRADUS_CHECK(defined() && numel() == 1, fmt::format("item: needs a one-element tensor, got {}",
                                                      defined() ? describe(*this) : "an empty handle"));
  return to_vector()[0];
}

std::vector<double> Tensor::to_vector() const {
  std::vector<double> values(static_cast<std::size_t>(numel()));
  kernels::copy(DType::f64, values.data(), row_major(shape()), dtype(), impl_->data, strides(), shape());
  return values;
}

void Tensor::fail_access(DType wanted) const {
  GRADUS_CHECK(dtype() == wanted,
               fmt::format("data: the tensor is {}, but {} elements were asked for", describe(*this), name_of(wanted)));
  fail(fmt::format("data: {} with strides {} is not contiguous\n  hint: use contiguous(x)", describe(*this),
                   to_string(strides())));
}

bool Tensor::is_leaf() const { return !impl_->node || impl_->node->is_leaf; }

Tensor& Tensor::requires_grad_(bool on) {
  GRADUS_CHECK(is_floating(dtype()),
               fmt::format("requires_grad_: {} cannot have gradients, only f32 and f64 can", describe(*this)));
  GRADUS_CHECK(is_leaf(),
               fmt::format("requires_grad_: {} was made by {}; only leaves can be switched\n  hint: detach() first",
                           describe(*this), impl_->node->name()));
  if (on && !impl_->node) {
    impl_->node = new detail::LeafNode(impl_);
  } else if (!on && impl_->node) {
    static_cast<detail::LeafNode*>(impl_->node)->leaf = nullptr;
    std::exchange(impl_->node, nullptr)->release();
  }
  return *this;
}

Tensor Tensor::grad() const { return impl_->node && impl_->node->is_leaf ? impl_->node->gradient : Tensor(); }

void Tensor::set_grad(Tensor gradient) const {
  GRADUS_CHECK(requires_grad() && is_leaf(),
               fmt::format("set_grad: {} is not a leaf that requires grad", describe(*this)));
  GRADUS_CHECK(!gradient.defined() || (gradient.shape() == shape() && gradient.dtype() == dtype()),
               fmt::format("set_grad: {} cannot be the gradient of {}", describe(gradient), describe(*this)));
  impl_->node->gradient = gradient.defined() ? contiguous(gradient) : gradient;
}

Tensor Tensor::detach() const { return detail::view_of(*this, shape(), strides()); }

void Tensor::set_name(std::string name) const {
  if (impl_->node && impl_->node->is_leaf) static_cast<detail::LeafNode*>(impl_->node)->label = std::move(name);
}

const std::string& Tensor::name() const {
  static const std::string none;
  return impl_->node && impl_->node->is_leaf ? static_cast<detail::LeafNode*>(impl_->node)->label : none;
}

namespace {
void check_writable(const Tensor& x, const char* op) {
  GRADUS_CHECK(x.is_leaf(),
               fmt::format("{}: {} is the result of {}; changing it would falsify its gradient\n  hint: detach() "
                           "or clone() first",
                           op, describe(x), x.impl()->node->name()));
  GRADUS_CHECK(!x.requires_grad() || !grad_enabled(),
               fmt::format("{}: {} requires grad, so in-place changes need a NoGrad scope", op, describe(x)));
}
}  // namespace

Tensor& Tensor::copy_(const Tensor& source) {
  check_writable(*this, "copy_");
  GRADUS_CHECK(source.shape() == shape(),
               fmt::format("copy_: shapes differ\n  to: {}\n  from: {}", describe(*this), describe(source)));
  kernels::copy(dtype(), impl_->data, strides(), source.dtype(), source.impl()->data, source.strides(), shape());
  mark_written("copy_");
  return *this;
}

Tensor& Tensor::fill_(double value) {
  check_writable(*this, "fill_");
  GRADUS_CHECK(is_contiguous(), fmt::format("fill_: {} is not contiguous", describe(*this)));
  kernels::fill(dtype(), impl_->data, numel(), value);
  mark_written("fill_");
  return *this;
}

std::string describe(const Tensor& x) {
  if (!x.defined()) return "an empty tensor handle";
  const std::string text = fmt::format("{} {}", name_of(x.dtype()), to_string(x.shape()));
  return x.name().empty() ? text : fmt::format("{}  parameter \"{}\"", text, x.name());
}

}  // namespace gradus
