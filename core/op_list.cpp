#include "core/op_list.h"

namespace gradus {

namespace ops {
std::vector<OpInfo> unary_ops();
std::vector<OpInfo> binary_ops();
std::vector<OpInfo> reduce_ops();
std::vector<OpInfo> view_ops();
std::vector<OpInfo> arrange_ops();
std::vector<OpInfo> index_ops();
std::vector<OpInfo> matmul_ops();
std::vector<OpInfo> softmax_ops();
std::vector<OpInfo> cross_entropy_ops();
std::vector<OpInfo> loss_ops();
std::vector<OpInfo> random_ops();
}  // namespace ops

std::vector<OpInfo> op_table() {
  std::vector<OpInfo> table;
  for (const auto family :
       {ops::unary_ops, ops::binary_ops, ops::reduce_ops, ops::view_ops, ops::arrange_ops, ops::index_ops,
        ops::matmul_ops, ops::softmax_ops, ops::cross_entropy_ops, ops::loss_ops, ops::random_ops}) {
    const auto entries = family();
    table.insert(table.end(), entries.begin(), entries.end());
  }
  return table;
}

}  // namespace gradus
