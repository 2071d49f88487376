// Matrix products of the shapes that training has, each with its share of what the machine's multiply-add units can do.
#include "core/kernels/gemm.h"

#include "bench/works.h"
#include "core/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace gradus::bench {
namespace {

struct Product {
  const char* where;
  bool transpose_a, transpose_b;
  Index m, n, k;
  Index batch = 1;
};

constexpr std::array kProducts = {
    Product{"square", false, false, 512, 512, 512},
    Product{"fashion_mlp layer 1, forward", false, true, 128, 512, 784},
    Product{"fashion_mlp layer 1, weight gradient", true, false, 512, 784, 128},
    Product{"fashion_mlp layer 2, forward", false, true, 128, 256, 512},
    Product{"fashion_mlp layer 2, weight gradient", true, false, 256, 512, 128},
    Product{"fashion_mlp layer 2, input gradient", false, false, 128, 512, 256},
    Product{"fashion_mlp layer 3, forward", false, true, 128, 10, 256},
    Product{"fashion_mlp layer 3, weight gradient", true, false, 10, 256, 128},
    Product{"fashion_mlp layer 3, input gradient", false, false, 128, 256, 10},
    Product{"gpt small, query key value", false, true, 768, 384, 128},
    Product{"gpt small, attention output", false, true, 768, 128, 128},
    Product{"gpt small, feed-forward up", false, true, 768, 512, 128},
    Product{"gpt small, feed-forward down", false, true, 768, 128, 512},
    Product{"gpt small, attention scores", false, true, 64, 64, 32, 48},
    Product{"gpt large, query key value", false, true, 4096, 1152, 384},
    Product{"gpt large, attention scores", false, true, 256, 256, 64, 96},
    Product{"muon, Newton-Schulz", false, true, 512, 512, 2048},
    Product{"tiny_mlp layer 1, forward", false, true, 32, 16, 2},
    Product{"tiny_mlp layer 2, forward", false, true, 32, 16, 16},
    Product{"tiny_mlp layer 2, weight gradient", true, false, 16, 16, 32},
    Product{"tiny_mlp layer 3, forward", false, true, 32, 1, 16},
};

/// Seconds for one product.
Timing time(const Product& p, double seconds) {
  const Tensor a = ones({p.batch, p.m, p.k}), b = ones({p.batch, p.k, p.n}), c = empty({p.batch, p.m, p.n});
  const Index lda = p.transpose_a ? p.m : p.k, ldb = p.transpose_b ? p.k : p.n;
  const Index repeat = std::max<Index>(1, 100000 / (p.batch * p.m * p.n * p.k));  // above the clock's resolution
  Timing timing = measure(seconds, [&] {
    for (Index i = 0; i < repeat; ++i)
      kernels::gemm_batched(p.transpose_a, p.transpose_b, p.batch, p.m, p.n, p.k, a.ptr<float>(), lda, p.m * p.k,
                            b.ptr<float>(), ldb, p.k * p.n, c.mutable_ptr<float>(), p.n, p.m * p.n, false);
  });
  timing.median /= static_cast<double>(repeat);
  timing.best /= static_cast<double>(repeat);
  return timing;
}

}  // namespace

Json gemm(const Options& options) {
  const double peak = peak_flops(options.threads);
  Json shapes = Json::array();
  Timing all;
  double flops = 0;
  fmt::print(stderr, "peak of {} thread(s): {:.1f} GFLOP/s\n{:<38} {:>22} {:>10} {:>9} {:>6}\n", options.threads,
             peak * 1e-9, "product", "m x n x k", "us", "GFLOP/s", "peak");
  for (const Product& p : kProducts) {
    const Timing timing = time(p, options.seconds / kProducts.size());
    const double work = 2.0 * static_cast<double>(p.batch * p.m * p.n * p.k);
    const std::string shape =
        (p.batch > 1 ? fmt::format("{} of ", p.batch) : "") + fmt::format("{}x{}x{}", p.m, p.n, p.k);
    const double gflops = work / timing.best * 1e-9;
    fmt::print(stderr, "{:<38} {:>22} {:>10.2f} {:>9.1f} {:>5.0f}%\n", p.where, shape, timing.best * 1e6, gflops,
               gflops * 1e11 / peak);
    shapes.push_back({{"product", p.where},
                      {"shape", shape},
                      {"us", timing.median * 1e6},
                      {"best_us", timing.best * 1e6},
                      {"best_gflops", gflops},
                      {"share_of_peak", gflops * 1e9 / peak}});
    all.median += timing.median;
    all.best += timing.best;
    flops += work;
  }
  Json json = report("flop", flops, all);
  json["peak_gflops"] = peak * 1e-9;
  json["shapes"] = shapes;
  return json;
}

}  // namespace gradus::bench
