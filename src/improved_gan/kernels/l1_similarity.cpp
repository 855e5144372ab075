// The sums of l1_similarity.py and their gradient, in float32 and float64, on vectors of 64 bytes with AVX-512, else 32.
//
//   d_ij = sum_c |x_ci - y_cj|,  c_ij = exp(-d_ij),  o_i = sum_j c_ij
//   dx_ci = -sum_j w_ij c_ij sign(x_ci - y_cj),  dy_cj = +sum_i w_ij c_ij sign(x_ci - y_cj)
//
// Arrays are (B, C, N): all kernels b are independent, so one thread takes one kernel at a time and the result does not
// depend on the number of threads. N and M are padded to whole vectors. Per kernel a tile of ROWS examples i is held in
// registers against one vector of examples j; the sum over c is the innermost loop. Where y is x only the pairs i < j
// are computed, and each stands for (j, i) too.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>
#include <thread>
#include <vector>

namespace {

constexpr int64_t ROWS = 4;
#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;
#endif

template <typename T> struct Vector;
template <> struct Vector<float> {
  typedef float type __attribute__((vector_size(BYTES)));
  typedef int32_t mask __attribute__((vector_size(BYTES)));
  static constexpr int32_t ABS = 0x7fffffff;
};
template <> struct Vector<double> {
  typedef double type __attribute__((vector_size(BYTES)));
  typedef int64_t mask __attribute__((vector_size(BYTES)));
  static constexpr int64_t ABS = 0x7fffffffffffffff;
};

template <typename T> struct Problem {
  using V = typename Vector<T>::type;
  using M = typename Vector<T>::mask;
  static constexpr int64_t LANES = BYTES / sizeof(T);
  int64_t channels, n, m, n_padded, m_padded, skip;
  bool same;

  static V load(const T* from) {
    V v;
    std::memcpy(&v, from, sizeof(V));
    return v;
  }
  static void add(T* to, V v) {
    V sum = load(to) + v;
    std::memcpy(to, &sum, sizeof(V));
  }
  static V absolute(V v) { return (V)((M)v & Vector<T>::ABS); }

  // c_ij of the rows i .. i + ROWS and one vector of columns from j; 0 for pairs that are left out or do not exist.
  void similarities(const T* x, const T* y, int64_t i, int64_t j, V* close) const {
    V distance[ROWS] = {};
    for (int64_t c = 0; c < channels; ++c) {
      const V right = load(y + c * m_padded + j);
      const T* left = x + c * n_padded + i;
#pragma GCC unroll 4
      for (int64_t r = 0; r < ROWS; ++r) distance[r] += absolute(left[r] - right);
    }
    for (int64_t r = 0; r < ROWS; ++r) {
      T values[LANES];
      for (int64_t l = 0; l < LANES; ++l) {
        const int64_t row = i + r, column = j + l;
        const bool wanted = row < n && column < m && (skip < 0 || column != row + skip) && (!same || column > row);
        const T value = wanted ? std::exp(-distance[r][l]) : T(0);
        values[l] = value < std::numeric_limits<T>::min() ? T(0) : value;  // subnormal numbers would slow the sums
      }
      close[r] = load(values);
    }
  }

  static T sum(V v) {
    T total = 0;
    for (int64_t l = 0; l < LANES; ++l) total += v[l];
    return total;
  }

  static bool any(const V* close) {
    for (int64_t r = 0; r < ROWS; ++r)
      for (int64_t l = 0; l < LANES; ++l)
        if (close[r][l] != 0) return true;
    return false;
  }

  int64_t first_column(int64_t i) const { return same ? i / LANES * LANES : 0; }

  void forward(const T* x, const T* y, T* out) const {  // out (n_padded), zero before
    for (int64_t i = 0; i < n; i += ROWS) {
      V own[ROWS] = {};
      for (int64_t j = first_column(i); j < m; j += LANES) {
        V close[ROWS];
        similarities(x, y, i, j, close);
        V others = {};
        for (int64_t r = 0; r < ROWS; ++r) {
          own[r] += close[r];
          others += close[r];
        }
        if (same) add(out + j, others);
      }
      for (int64_t r = 0; r < ROWS; ++r) out[i + r] += sum(own[r]);
    }
    if (same && skip != 0)
      for (int64_t i = 0; i < n; ++i) out[i] += 1;  // c_ii
  }

  // weight (n_padded); of_x (C, n_padded) and of_y (C, m_padded; of_x where y is x), zero before.
  void gradient(const T* weight, const T* x, const T* y, T* of_x, T* of_y, V* own) const {
    for (int64_t i = 0; i < n; i += ROWS) {
      std::memset(own, 0, sizeof(V) * ROWS * channels);
      for (int64_t j = first_column(i); j < m; j += LANES) {
        V close[ROWS];
        similarities(x, y, i, j, close);
        if (!any(close)) continue;
        for (int64_t r = 0; r < ROWS; ++r) close[r] *= same ? weight[i + r] + load(weight + j) : weight[i + r] + V{};
        for (int64_t c = 0; c < channels; ++c) {
          const V right = load(y + c * m_padded + j);
          const T* left = x + c * n_padded + i;
          V others = {};
#pragma GCC unroll 4
          for (int64_t r = 0; r < ROWS; ++r) {
            const V difference = left[r] - right;
            const V positive = (V)((M)close[r] & (M)(difference > T(0)));
            const V signed_ = positive - (V)((M)close[r] & (M)(difference < T(0)));  // sign(0) = 0
            own[c * ROWS + r] += signed_;
            others += signed_;
          }
          add(of_y + c * m_padded + j, others);
        }
      }
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t r = 0; r < ROWS; ++r) of_x[c * n_padded + i + r] -= sum(own[c * ROWS + r]);
    }
  }
};

// Calls work(b) for each kernel b; a thread takes the next one when it is done with its last. Not by OpenMP, whose
// threads spin while they wait for the last one: on a machine with other work they take its processor meanwhile.
template <typename Work> void share_out(int64_t kernels, int64_t threads, const Work& work) {
  std::atomic<int64_t> next{0};
  const auto take = [&] {
    for (int64_t b = next++; b < kernels; b = next++) work(b);
  };
  std::vector<std::thread> others;
  try {
    for (int64_t t = 1; t < std::min(threads, kernels); ++t) others.emplace_back(take);
  } catch (const std::system_error&) {  // no more threads are to be had: those that there are do the work
  }
  take();
  for (std::thread& other : others) other.join();
}

template <typename T>
void all_forward(const T* x, const T* y, T* out, const Problem<T>& shared, int64_t kernels, int64_t threads) {
  share_out(kernels, threads, [=](int64_t b) {
    const Problem<T> problem = shared;  // a copy, which stays in registers
    const T* own = x + b * problem.channels * problem.n_padded;
    const T* others = problem.same ? own : y + b * problem.channels * problem.m_padded;
    problem.forward(own, others, out + b * problem.n_padded);
  });
}

template <typename T>
void all_gradients(const T* weight, const T* x, const T* y, T* of_x, T* of_y, const Problem<T>& shared,
                   int64_t kernels, int64_t threads) {
  share_out(kernels, threads, [=](int64_t b) {
    const Problem<T> problem = shared;  // a copy, which stays in registers
    const int64_t rows = b * problem.channels * problem.n_padded, columns = b * problem.channels * problem.m_padded;
    std::vector<typename Problem<T>::V> own(ROWS * problem.channels);
    problem.gradient(weight + b * problem.n_padded, x + rows, problem.same ? x + rows : y + columns, of_x + rows,
                     problem.same ? of_x + rows : of_y + columns, own.data());
  });
}

}  // namespace

extern "C" {

#define L1_SIMILARITY(NAME, T)                                                                                        \
  void l1_similarity_##NAME(const T* x, const T* y, T* out, int64_t kernels, int64_t channels, int64_t n, int64_t m,   \
                            int64_t n_padded, int64_t m_padded, int64_t skip, int64_t same, int64_t threads) {        \
    all_forward<T>(x, y, out, {channels, n, m, n_padded, m_padded, skip, same != 0}, kernels, threads);          \
  }                                                                                                                   \
  void l1_gradient_##NAME(const T* weight, const T* x, const T* y, T* of_x, T* of_y, int64_t kernels,                 \
                          int64_t channels, int64_t n, int64_t m, int64_t n_padded, int64_t m_padded, int64_t skip,   \
                          int64_t same, int64_t threads) {                                                            \
    all_gradients<T>(weight, x, y, of_x, of_y, {channels, n, m, n_padded, m_padded, skip, same != 0}, kernels,        \
                     threads);                                                                                   \
  }

L1_SIMILARITY(float, float)
L1_SIMILARITY(double, double)

}  // extern "C"
