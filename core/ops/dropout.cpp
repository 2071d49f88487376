// Dropout: its mask is a function of a counter, so nothing is stored and any thread count draws the same one.
#include "core/ops/elementwise.h"

#include <fmt/format.h>

namespace gradus {
namespace ops {
namespace {

struct Dropout {
  static constexpr std::string_view kName = "dropout";
  static constexpr int kSaved = 0;
  double p;
  std::uint64_t key, counter;

  // Element i is kept when number i % 4 of block counter + i / 4 is at least p 2^32.
  Tensor forward(Saver<0>&, const Tensor& input) {
    const Tensor x = contiguous(input);
    Tensor y = empty_like(x);
    const auto limit = static_cast<std::uint64_t>(p * 4294967296.0);
    with_type<false>(x.dtype(), kName, [&]<class T>() {
      const T scale = static_cast<T>(1 / (1 - p));
      const T* in = x.ptr<T>();
      T* out = y.mutable_ptr<T>();
      parallel_for((x.numel() + 3) / 4, kernels::kChunk / 16, [&](Index begin, Index end) {
        for (Index block = begin; block < end; ++block) {
          const std::uint64_t at = counter + static_cast<std::uint64_t>(block);
          const auto random = philox4x32({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32), 0, 0},
                                         {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
          for (Index i = block * 4; i < std::min(block * 4 + 4, x.numel()); ++i)
            out[i] = random[static_cast<std::size_t>(i % 4)] >= limit ? in[i] * scale : T(0);
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {apply(*this, dy)}; }

  static void cases(Cases& cases) {
    const std::uint64_t key = 7;
    cases.add({"mask",
               {cases.normal({3, 5})},
               [=](const Tensors& in) {
                 return apply(Dropout{0.4, key, 2}, in[0]);
               },
               [=](const Tensors& in) {
                 const naive::Array x(in[0]);
                 Rng rng = Rng::restore(key, 2);
                 std::vector<double> values;
                 std::array<std::uint32_t, 4> block{};
                 for (std::size_t i = 0; i < x.values.size(); ++i) {
                   if (i % 4 == 0) block = philox4x32({static_cast<std::uint32_t>(rng.reserve(1)), 0, 0, 0}, {7, 0});
                   values.push_back(block[i % 4] / 4294967296.0 >= 0.4 ? x.values[i] / 0.6 : 0);
                 }
                 return tensor(values, x.shape, DType::f64);
               }});
    cases.add({"nothing dropped",
               {cases.normal({4})},
               [](const Tensors& in) {
                 Rng rng(1);
                 return dropout(in[0], 0, rng);
               },
               [](const Tensors& in) { return in[0]; }});
    cases.refuse(
        "p",
        [] {
          Rng rng(1);
          dropout(zeros({2}), 1, rng);
        },
        "p must be in [0, 1)");
  }
};

using Family = OpList<Dropout>;

}  // namespace

std::vector<OpInfo> random_ops() { return Family::table(); }

}  // namespace ops

Tensor dropout(const Tensor& x, double p, Rng& rng) {
  GRADUS_CHECK(p >= 0 && p < 1, fmt::format("dropout: p must be in [0, 1), got {}", p));
  if (p == 0) return x;
  const std::uint64_t counter = rng.reserve(static_cast<std::uint64_t>((x.numel() + 3) / 4));
  return ops::Family::run(ops::Dropout{p, rng.key(), counter}, x);
}

}  // namespace gradus
