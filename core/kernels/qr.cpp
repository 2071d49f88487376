#include "core/kernels/qr.h"

#include <Eigen/QR>

namespace gradus::kernels {

void orthonormalize(double* a, Index rows, Index cols) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<Matrix> matrix(a, rows, cols);
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(matrix);
  matrix = qr.householderQ() * Matrix::Identity(rows, cols);
  for (Index i = 0; i < cols; ++i)
    if (qr.matrixQR()(i, i) < 0) matrix.col(i) *= -1;
}

}  // namespace gradus::kernels
