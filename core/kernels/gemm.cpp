// One micro-kernel computes a small block of c in registers; around it, op(b) is packed into panels once and shared by
// all tiles, and each tile packs its rows of op(a) (Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", ACM TOMS 34, 2008).
//
//   panel       all of k x kColumns of op(b), packed: what the micro-kernel reads without a stride
//   tile        up to kTileRows x kTileColumns of c: what one thread takes at a time
//   micro-tile  up to kRows x kColumns of c, in registers
#include "core/kernels/gemm.h"

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "core/memory.h"
#include "core/parallel.h"

#include <algorithm>
#include <cstring>

namespace gradus::kernels {
namespace {

// ---------------------------------------------------------------------------------------------------------------------
// Vectors
// ---------------------------------------------------------------------------------------------------------------------

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kRows = 12;  // with two vectors a row: 24 sums, 2 of b and 1 of a in 32 registers
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int kVectorBytes = 32;
constexpr int kRows = 6;  // 12 sums, 2 of b and 1 of a in 16 registers
#else
constexpr int kVectorBytes = 16;
constexpr int kRows = 6;
#endif

template <class T>
struct Simd {
  static constexpr int kWidth = kVectorBytes / static_cast<int>(sizeof(T));
  typedef T Vector __attribute__((vector_size(kVectorBytes)));

  static Vector load(const T* from) {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(T* to, Vector v) { std::memcpy(to, &v, sizeof v); }
  static Vector broadcast(T value) { return value - Vector{}; }

  static Vector fma(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
      return _mm512_fmadd_ps(a, b, c);
    else
      return _mm512_fmadd_pd(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
    if constexpr (sizeof(T) == 4)
      return _mm256_fmadd_ps(a, b, c);
    else
      return _mm256_fmadd_pd(a, b, c);
#else
    return a * b + c;
#endif
  }

  /// The first `count` lanes; the others are 0, or not written.
  static Vector load_first(const T* from, int count) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
      return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1), from);
    else
      return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1U << count) - 1), from);
#elif defined(__AVX2__) && defined(__FMA__)
    if constexpr (sizeof(T) == 4)
      return _mm256_maskload_ps(from, mask(count));
    else
      return _mm256_maskload_pd(from, mask(2 * count));
#else
    Vector v{};
    for (int i = 0; i < count; ++i) v[i] = from[i];
    return v;
#endif
  }
  static void store_first(T* to, Vector v, int count) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
      _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1U << count) - 1), v);
    else
      _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1U << count) - 1), v);
#elif defined(__AVX2__) && defined(__FMA__)
    if constexpr (sizeof(T) == 4)
      _mm256_maskstore_ps(to, mask(count), v);
    else
      _mm256_maskstore_pd(to, mask(2 * count), v);
#else
    for (int i = 0; i < count; ++i) to[i] = v[i];
#endif
  }

#if defined(__AVX2__) && !defined(__AVX512F__)
 private:
  static __m256i mask(int words) {
    alignas(64) static constexpr std::int32_t kOnes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnes + 8 - words));
  }
#endif
};

template <class T>
constexpr Index kColumns = 2 * Simd<T>::kWidth;

// ---------------------------------------------------------------------------------------------------------------------
// The micro-kernel
// ---------------------------------------------------------------------------------------------------------------------

/// What the sums of a micro-tile start from.
enum class Start { zero, bias, former };

template <class T>
struct MicroTile {
  const T* a;  // op(a)[i, p] = a[i * a_row + p * a_column]
  Index a_row;
  Index a_column;
  const T* b;  // op(b)[p, j] = b[p * b_row + j], all columns readable
  Index b_row;
  T* c;
  Index ldc;
  Index k;
  Start start;
  const T* bias;
};

/// Rows x (Vectors vectors) of c, of which `columns` are there.
template <class T, int Rows, int Vectors, bool Partial>
void micro_kernel(const MicroTile<T>& tile, int columns) {
  using S = Simd<T>;
  using Vector = typename S::Vector;
  const int last = columns - (Vectors - 1) * S::kWidth;  // lanes of the last vector
  const auto load = [&](const T* from, int v) {
    return Partial && v == Vectors - 1 ? S::load_first(from + v * S::kWidth, last) : S::load(from + v * S::kWidth);
  };

  Vector sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v)
      sum[i][v] = tile.start == Start::zero   ? Vector{}
                  : tile.start == Start::bias ? load(tile.bias, v)
                                              : load(tile.c + i * tile.ldc, v);

  const T* a = tile.a;
  const T* b = tile.b;
  const Index a_row = tile.a_row, a_column = tile.a_column, b_row = tile.b_row;
  for (Index p = tile.k; p > 0; --p) {
    Vector b_row_vectors[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) b_row_vectors[v] = S::load(b + v * S::kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Vector factor = S::broadcast(a[i * a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) sum[i][v] = S::fma(factor, b_row_vectors[v], sum[i][v]);
    }
    a += a_column;
    b += b_row;
  }

#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      T* const to = tile.c + i * tile.ldc + v * S::kWidth;
      if (Partial && v == Vectors - 1)
        S::store_first(to, sum[i][v], last);
      else
        S::store(to, sum[i][v]);
    }
}

template <class T, int Rows>
void micro_kernel_columns(const MicroTile<T>& tile, int columns) {
  constexpr int kWidth = Simd<T>::kWidth;
  if (columns == 2 * kWidth)
    micro_kernel<T, Rows, 2, false>(tile, columns);
  else if (columns > kWidth)
    micro_kernel<T, Rows, 2, true>(tile, columns);
  else
    micro_kernel<T, Rows, 1, true>(tile, columns);
}

/// Dispatches on the number of rows, 1 .. kRows.
template <class T, int Rows = kRows>
void run_micro_kernel(const MicroTile<T>& tile, int rows, int columns) {
  if constexpr (Rows > 1)
    if (rows < Rows) return run_micro_kernel<T, Rows - 1>(tile, rows, columns);
  micro_kernel_columns<T, Rows>(tile, columns);
}

// ---------------------------------------------------------------------------------------------------------------------
// Packing
// ---------------------------------------------------------------------------------------------------------------------

/// to[j * to_row + i] = from[i * from_row + j] for i, j below the number of lanes in 32 bytes (4 x 4 double, 8 x 8
/// float).
template <class T>
void transpose_block(const T* from, Index from_row, T* to, Index to_row) {
  constexpr int kLanes = 32 / static_cast<int>(sizeof(T));
  typedef T Row __attribute__((vector_size(32)));
  Row r[kLanes], s[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) std::memcpy(&r[i], from + i * from_row, sizeof r[i]);
  if constexpr (kLanes == 4) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i += 2) {
      s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 4, 2, 6);
      s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 5, 3, 7);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 2; ++i) {
      r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 4, 5);
      r[i + 2] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 6, 7);
    }
  } else {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
      s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
      s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4) {
      r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + 1] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
      r[i + 2] = __builtin_shufflevector(s[i + 1], s[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + 3] = __builtin_shufflevector(s[i + 1], s[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      s[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
      s[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = s[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) std::memcpy(to + i * to_row, &r[i], sizeof r[i]);
}

/// Packs `columns` columns of op(b), with k rows, into a panel [k, kColumns] filled up with zeros. b points at the
/// first column.
template <class T>
void pack_panel(bool transposed, const T* b, Index ldb, Index k, Index columns, T* panel) {
  constexpr Index kWidth = kColumns<T>;
  if (!transposed) {
    using S = Simd<T>;
    const int first = static_cast<int>(std::min<Index>(columns, S::kWidth)), second = static_cast<int>(columns) - first;
    for (Index p = 0; p < k; ++p) {
      S::store(panel + p * kWidth, S::load_first(b + p * ldb, first));
      S::store(panel + p * kWidth + S::kWidth,
               second > 0 ? S::load_first(b + p * ldb + S::kWidth, second) : typename S::Vector{});
    }
    return;
  }
  if (columns < kWidth && k > 0) std::memset(panel, 0, static_cast<std::size_t>(k * kWidth) * sizeof(T));
  constexpr Index kLanes = 32 / sizeof(T);
  Index j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    Index p = 0;
    for (; p + kLanes <= k; p += kLanes) transpose_block(b + j * ldb + p, ldb, panel + p * kWidth + j, kWidth);
    for (; p < k; ++p)
      for (Index lane = 0; lane < kLanes; ++lane) panel[p * kWidth + j + lane] = b[(j + lane) * ldb + p];
  }
  for (; j < columns; ++j)
    for (Index p = 0; p < k; ++p) panel[p * kWidth + j] = b[j * ldb + p];
}

/// Packs k columns of `rows` rows of a transposed a, stored [k, rows], as slabs [k, kRows].
template <class T>
void pack_slabs(const T* a, Index lda, Index k, Index rows, T* slabs) {
  for (Index i = 0; i < rows; i += kRows) {
    const Index count = std::min<Index>(kRows, rows - i);
    for (Index p = 0; p < k; ++p) {
      if (count == kRows) {
        std::memcpy(slabs + p * kRows, a + p * lda + i, kRows * sizeof(T));
      } else {
        for (Index r = 0; r < count; ++r) slabs[p * kRows + r] = a[p * lda + i + r];
      }
    }
    slabs += k * kRows;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Tiles
// ---------------------------------------------------------------------------------------------------------------------

// A tile's part of a (72 x 512 floats: 144 KiB) stays in a second-level cache, a panel's (512 x 16: 32 KiB) in the
// first.
constexpr Index kTileRows = 72;
constexpr Index kTileBytes = 512;                // columns of a tile, in bytes of a row
constexpr Index kPackingTileBytes = 1024;        // the same where the tile packs its part of a: fewer tiles repeat that
constexpr Index kDepthBytes = 2048;              // k of a tile between two visits of c, in bytes
constexpr Index kPackedBytes = Index{32} << 20;  // b is packed in parts of at most this size
constexpr Index kDirect = 4096;                  // elements of b that are near enough wherever they are
constexpr Index kSmall = 1 << 19;                // below m * n * k = 2^19, about 10 microseconds, one thread is faster

template <class T>
struct Problem {
  bool transpose_a;
  bool transpose_b;
  Index m, n, k;
  const T* a;
  Index lda;
  const T* b;
  Index ldb;
  T* c;
  Index ldc;
  bool accumulate;
  const T* bias;
};

/// A block from the pool for the length of a scope.
template <class T>
class Scratch {
 public:
  explicit Scratch(Index count)
      : bytes_(static_cast<std::size_t>(count) * sizeof(T)),
        data_(bytes_ > 0 ? static_cast<T*>(gradus::detail::pool_allocate(bytes_)) : nullptr) {}
  ~Scratch() {
    if (data_) gradus::detail::pool_free(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

/// `size` in as few nearly equal parts of at most `limit` as there can be, each but the last a multiple of `step`.
Index even_part(Index size, Index limit, Index step) {
  if (size <= limit) return std::max<Index>(size, 1);
  const Index parts = (size + limit - 1) / limit;
  return ((size + parts - 1) / parts + step - 1) / step * step;
}

/// Columns [0, n) of rows [row, row + rows) of c; panels of op(b) start `panel_stride` apart with rows `panel_row`
/// apart.
template <class T>
void run_tile(const Problem<T>& x, Index row, Index rows, Index column, Index columns, const T* panels,
              Index panel_stride, Index panel_row) {
  const Index depth = even_part(x.k, kDepthBytes / static_cast<Index>(sizeof(T)), 1);
  alignas(64) T slabs[kTileRows * kDepthBytes / sizeof(T)];
  Index p = 0;
  do {  // once for k == 0 too, which only stores what the sums start from
    const Index k = std::min(depth, x.k - p);
    const bool packed = x.transpose_a && columns > 2 * kColumns<T>;
    if (packed) pack_slabs(x.a + p * x.lda + row, x.lda, k, rows, slabs);
    MicroTile<T> tile;
    tile.a_row = packed || x.transpose_a ? 1 : x.lda;
    tile.a_column = packed ? kRows : x.transpose_a ? x.lda : 1;
    tile.b_row = panel_row;
    tile.ldc = x.ldc;
    tile.k = k;
    tile.start = p > 0 || x.accumulate ? Start::former : x.bias ? Start::bias : Start::zero;
    for (Index j = 0; j < columns; j += kColumns<T>) {
      tile.b = panels + j / kColumns<T> * panel_stride + p * panel_row;
      tile.bias = x.bias ? x.bias + column + j : nullptr;
      for (Index i = 0; i < rows; i += kRows) {
        tile.a = packed ? slabs + i * k : x.transpose_a ? x.a + p * x.lda + row + i : x.a + (row + i) * x.lda + p;
        tile.c = x.c + (row + i) * x.ldc + column + j;
        run_micro_kernel<T>(tile, static_cast<int>(std::min<Index>(kRows, rows - i)),
                            static_cast<int>(std::min(kColumns<T>, columns - j)));
      }
    }
    p += k;
  } while (p < x.k);
}

/// Columns [first, first + n) of the product.
template <class T>
void multiply_columns(const Problem<T>& x, Index first, Index n) {
  constexpr Index kWidth = kColumns<T>;
  const Index panels = (n + kWidth - 1) / kWidth;
  const bool small = x.m * n * x.k < kSmall;

  // b can be read where it is, but for columns beyond its last whole panel, when few rows of c would profit from
  // packing.
  const bool direct = !x.transpose_b && (x.m <= 8 * kRows || x.k * n <= kDirect);
  const Index whole = direct ? n / kWidth : 0;
  const Scratch<T> packed((panels - whole) * x.k * kWidth);
  parallel_for(panels - whole, small ? panels : std::max<Index>(1, 16384 / (x.k + 1)), [&](Index begin, Index end) {
    for (Index q = begin; q < end; ++q) {
      const Index j = (whole + q) * kWidth;
      pack_panel(x.transpose_b, x.b + (x.transpose_b ? (first + j) * x.ldb : first + j), x.ldb, x.k,
                 std::min(kWidth, n - j), packed.data() + q * x.k * kWidth);
    }
  });

  const Index tile_rows = even_part(x.m, kTileRows, kRows);
  const Index row_tiles = (x.m + tile_rows - 1) / tile_rows;
  if (whole > 0) {
    for (Index i = 0; i < x.m; i += tile_rows)
      run_tile(x, i, std::min(tile_rows, x.m - i), first, whole * kWidth, x.b + first, kWidth, x.ldb);
    if (panels > whole)
      for (Index i = 0; i < x.m; i += tile_rows)
        run_tile(x, i, std::min(tile_rows, x.m - i), first + whole * kWidth, n - whole * kWidth, packed.data(),
                 x.k * kWidth, kWidth);
    return;
  }
  const Index tile_bytes = x.transpose_a ? kPackingTileBytes : kTileBytes;
  const Index tile_columns = even_part(n, tile_bytes / static_cast<Index>(sizeof(T)), kWidth);
  const Index column_tiles = (n + tile_columns - 1) / tile_columns;
  const Index tiles = row_tiles * column_tiles;
  parallel_for(tiles, small ? tiles : 1, [&](Index begin, Index end) {
    for (Index t = begin; t < end; ++t) {
      const Index i = t % row_tiles * tile_rows;
      const Index j = t / row_tiles * tile_columns;
      run_tile(x, i, std::min(tile_rows, x.m - i), first + j, std::min(tile_columns, n - j), packed.data() + j * x.k,
               x.k * kWidth, kWidth);
    }
  });
}

template <class T>
void multiply(const Problem<T>& x) {
  if (x.m == 0 || x.n == 0) return;
  // A dense column is the row of the transposed product, which fills vectors.
  if (x.n == 1 && x.m > 1 && x.ldc == 1) {
    if (x.bias) std::fill_n(x.c, x.m, *x.bias);
    return multiply(Problem<T>{!x.transpose_b, !x.transpose_a, 1, x.m, x.k, x.b, x.ldb, x.a, x.lda, x.c, x.m,
                               x.accumulate || x.bias, nullptr});
  }
  const Index row_bytes = std::max<Index>(x.k, 1) * static_cast<Index>(sizeof(T));
  const Index limit = std::max<Index>(kPackedBytes / row_bytes, kColumns<T>);
  const Index part = even_part(x.n, limit, kColumns<T>);
  for (Index j = 0; j < x.n; j += part) multiply_columns(x, j, std::min(part, x.n - j));
}

}  // namespace

template <class T>
void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, const T* a, Index lda, const T* b, Index ldb,
          T* c, Index ldc, bool accumulate, const T* bias) {
  multiply(Problem<T>{transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate, bias});
}

template <class T>
void gemm_batched(bool transpose_a, bool transpose_b, Index batch, Index m, Index n, Index k, const T* a, Index lda,
                  Index a_stride, const T* b, Index ldb, Index b_stride, T* c, Index ldc, Index c_stride,
                  bool accumulate) {
  // Large products fill the threads one by one; small ones are dealt out, some 10 microseconds at a time.
  const Index work = m * n * std::max<Index>(k, 1);
  const Index chunk = work >= 64 * kSmall ? batch : std::max<Index>(1, kSmall / std::max<Index>(work, 1));
  parallel_for(batch, chunk, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      multiply(Problem<T>{transpose_a, transpose_b, m, n, k, a + i * a_stride, lda, b + i * b_stride, ldb,
                          c + i * c_stride, ldc, accumulate, nullptr});
  });
}

template void gemm(bool, bool, Index, Index, Index, const float*, Index, const float*, Index, float*, Index, bool,
                   const float*);
template void gemm(bool, bool, Index, Index, Index, const double*, Index, const double*, Index, double*, Index, bool,
                   const double*);
template void gemm_batched(bool, bool, Index, Index, Index, Index, const float*, Index, Index, const float*, Index,
                           Index, float*, Index, Index, bool);
template void gemm_batched(bool, bool, Index, Index, Index, Index, const double*, Index, Index, const double*, Index,
                           Index, double*, Index, Index, bool);

}  // namespace gradus::kernels
