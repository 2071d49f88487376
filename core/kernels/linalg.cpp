#include "core/kernels/linalg.h"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>

namespace gradus::kernels {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace

bool eigh(const double* a, Index n, double* values, double* vectors) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::Map<const RowMajor>(a, n, n));
  if (solver.info() != Eigen::Success) return false;
  Eigen::Map<Eigen::VectorXd>(values, n) = solver.eigenvalues();
  Eigen::Map<RowMajor>(vectors, n, n) = solver.eigenvectors();
  return true;
}

void svd(const double* a, Index m, Index n, double* u, double* s, double* vt) {
  const Eigen::JacobiSVD<Eigen::MatrixXd> solver(Eigen::Map<const RowMajor>(a, m, n),
                                                 Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Index k = m < n ? m : n;
  Eigen::Map<RowMajor>(u, m, k) = solver.matrixU();
  Eigen::Map<Eigen::VectorXd>(s, k) = solver.singularValues();
  Eigen::Map<RowMajor>(vt, k, n) = solver.matrixV().transpose();
}

}  // namespace gradus::kernels
