// The handle: sharing, views, host access, conversion, printing, and what it refuses.
#include "core/tensor.h"

#include "core/ops.h"

#include <catch2/catch.hpp>

#include <cmath>

using namespace gradus;

TEST_CASE("copies share, clones do not") {
  Tensor a = tensor({1, 2, 3});
  const Tensor b = a;
  const Tensor c = clone(a);
  a.fill_(7);
  CHECK(b.to_vector() == std::vector<double>{7, 7, 7});
  CHECK(c.to_vector() == std::vector<double>{1, 2, 3});
  CHECK(a.is_same(b));
  CHECK(sizeof(Tensor) == sizeof(void*));
}

TEST_CASE("storage is aligned to 64 bytes") {
  for (const Index size : {1, 3, 17, 1000, 100000})
    CHECK(reinterpret_cast<std::uintptr_t>(zeros({size}).ptr<float>()) % 64 == 0);
}

TEST_CASE("views share storage, and reshape copies only when it must") {
  const Tensor x = reshape(arange(24, DType::f32), {2, 3, 4});
  CHECK(reshape(x, {6, 4}).shares_storage_with(x));
  CHECK(transpose(x, 0, 2).shares_storage_with(x));
  CHECK(permute(x, {1, 2, 0}).shares_storage_with(x));
  CHECK(slice(x, 1, 1, 3).shares_storage_with(x));
  CHECK(expand(select(x, 0, 1), {5, 3, 4}).shares_storage_with(x));
  const Tensor turned = transpose(x, 0, 1);                     // [3, 2, 4]
  CHECK(reshape(turned, {3, 2, 2, 2}).shares_storage_with(x));  // splitting an axis keeps strides
  CHECK_FALSE(reshape(turned, {6, 4}).shares_storage_with(x));  // merging these two cannot
  CHECK(reshape(turned, {6, 4}).to_vector()[4] == 12);
  CHECK(transpose(slice(x, 2, 1, 4, 2), 0, 2).to_vector() ==
        std::vector<double>{1, 13, 5, 17, 9, 21, 3, 15, 7, 19, 11, 23});
}

TEST_CASE("rank goes up to six, and further is refused") {
  CHECK(zeros({1, 2, 1, 2, 1, 2}).numel() == 8);
  CHECK_THROWS_WITH(zeros({1, 1, 1, 1, 1, 1, 1}), Catch::Contains("rank 7"));
}

TEST_CASE("host access checks dtype and layout") {
  Tensor x = tensor({1, 2, 3, 4}, {2, 2});
  CHECK(x.data<float>()[3] == 4);
  x.mutable_data<float>()[0] = 9;
  CHECK(x.to_vector()[0] == 9);
  CHECK_THROWS_WITH(x.data<double>(), Catch::Contains("f64 elements were asked for"));
  CHECK_THROWS_WITH(transpose(x).data<float>(), Catch::Contains("not contiguous"));
  CHECK(contiguous(transpose(x)).data<float>()[1] == 3);
  CHECK_THROWS_WITH(x.item(), Catch::Contains("one-element"));
}

TEST_CASE("factories fill as they say and check their arguments") {
  CHECK(full({2}, 2.5).to_vector() == std::vector<double>{2.5, 2.5});
  CHECK(arange(3).dtype() == DType::i64);
  CHECK(eye(2).to_vector() == std::vector<double>{1, 0, 0, 1});
  CHECK(scalar(4).rank() == 0);
  CHECK(zeros({0, 3}).numel() == 0);
  CHECK_THROWS_WITH(zeros({-1}), Catch::Contains("negative size"));
  CHECK_THROWS_WITH(zeros({Index{1} << 62, 8}), Catch::Contains("more bytes than can be counted"));
  CHECK_THROWS_WITH(zeros({Index{1} << 46}), Catch::Contains("memory:"));
  CHECK_THROWS_WITH(tensor({1, 2, 3}, {2, 2}), Catch::Contains("3 values do not fill"));
}

TEST_CASE("dtypes convert, bf16 by rounding to even") {
  const Tensor x = tensor({1.0, 1.00390625, 1.01171875, -2.5, 3e38});
  CHECK(to(to(x, DType::bf16), DType::f32).to_vector() ==
        std::vector<double>{1, 1, 1.015625, -2.5, static_cast<double>(static_cast<float>(bf16(3e38F)))});
  CHECK(std::isnan(static_cast<float>(bf16(NAN))));
  CHECK(to(tensor({1.9, -1.9}), DType::i64).to_vector() == std::vector<double>{1, -1});
  CHECK(to(x, DType::f32).is_same(x));
}

TEST_CASE("tensors print their values, dtype and shape") {
  CHECK(to_string(tensor({1, -2.5, 3, 4}, {2, 2})) == "[[   1, -2.5],\n [   3,    4]]\nf32 [2, 2]");
  CHECK(to_string(indices({10, 2})) == "[10,  2]\ni64 [2]");
  CHECK(to_string(scalar(0.5)) == "0.5\nf32 []");
  CHECK(to_string(zeros({0})) == "[]\nf32 [0]");
  CHECK_THAT(to_string(arange(2000)), Catch::Contains("0,    1,    2, ..., 1997, 1998, 1999"));
  CHECK(to_string(Tensor()) == "an empty tensor handle");
}

TEST_CASE("messages name parameters") {
  Tensor w = zeros({512, 10}).requires_grad_();
  w.set_name("fc2.weight");
  CHECK(describe(w) == "f32 [512, 10]  parameter \"fc2.weight\"");
  CHECK_THROWS_WITH(
      matmul(zeros({32, 784}), w),
      Catch::Contains("matmul: inner sizes differ\n  a: f32 [32, 784]\n  b: f32 [512, 10]  parameter \"fc2.weight\""));
}
