// The element-wise parts of the dense MNIST networks (paper, section 6.1), each in few passes over memory; the matrix
// products stay with PyTorch. Forward and backward of:
//   discriminator   h = relu(z + b),  u = h + s e,  W = g v / ||v||          bias_relu_noise, weight_norm
//   generator       h = softplus(batch_norm(z) + b),  x = sigmoid(z + b)     batch_norm_softplus, bias_sigmoid
// Matrices are row-major: rows are examples (N) and columns features (A), or for weights outputs (B) and inputs (A).
// bfloat16 is the upper half of a float32; every sum is taken in float32, so that long sums do not stop growing.
// cpp_extension.py compiles this file once on the user's machine; dense_operations.py calls it.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

using bf16 = uint16_t;

inline float to_float(bf16 value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

inline bf16 to_bf16(float value) {  // to nearest, ties to even; NaN stays NaN
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<bf16>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

// e^x for x <= 0, to a few units in the last place: e^x = 2^k e^r with k = round(x / log 2), |r| <= log(2) / 2, and e^r
// by its Taylor series. Without a branch or a table, so that the compiler vectorizes loops over it.
inline float exp_nonpositive(float x) {
  x = x < -87.0f ? -87.0f : x;  // below, 2^k would be subnormal and the exponent bits wrong
  float whole = __builtin_rintf(x * 1.44269504f);
  float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;  // x - k log 2, log 2 in two parts for precision
  float tail = 1.66666667e-1f + r * (4.16666667e-2f + r * (8.3333333e-3f + r * 1.3888889e-3f));
  float series = 1.0f + r * (1.0f + r * (0.5f + r * tail));
  uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(whole) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return scale * series;
}

// log(1 + t) for 0 <= t <= 1, by the series of artanh(t / (2 + t)).
inline float log1p_unit(float t) {
  float s = t / (2.0f + t), q = s * s;
  float tail = 0.142857143f + q * (0.111111111f + q * (0.0909090909f + q * 0.0769230769f));
  return 2.0f * s * (1.0f + q * (0.333333333f + q * (0.2f + q * tail)));
}

// softplus(x) = max(x, 0) + log(1 + e^-|x|): the exponential never overflows. Its derivative is sigmoid(x).
inline float softplus(float x) { return (x > 0.0f ? x : 0.0f) + log1p_unit(exp_nonpositive(-std::fabs(x))); }

inline float sigmoid(float x) {
  float t = exp_nonpositive(-std::fabs(x));
  return (x < 0.0f ? t : 1.0f) / (1.0f + t);
}

typedef bf16 Vector __attribute__((vector_size(16), aligned(2)));

inline Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
inline Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }

// An 8x8 tile: interleaving rows i and i + 4 three times (a perfect shuffle of the index bits) transposes it.
inline void transpose_tile(const bf16* in, bf16* out, int64_t in_stride, int64_t out_stride) {
  Vector a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = *reinterpret_cast<const Vector*>(in + i * in_stride);
  for (int stage = 0; stage < 3; ++stage) {
    for (int i = 0; i < 4; ++i) {
      b[2 * i] = low(a[i], a[i + 4]);
      b[2 * i + 1] = high(a[i], a[i + 4]);
    }
    for (int i = 0; i < 8; ++i) a[i] = b[i];
  }
  for (int i = 0; i < 8; ++i) *reinterpret_cast<Vector*>(out + i * out_stride) = a[i];
}

// out (columns, rows) = the transpose of in (rows, columns).
void transpose(const bf16* __restrict in, bf16* __restrict out, int64_t rows, int64_t columns) {
  // The product W_grad = grad^T inputs is nearly twice as fast on a row-major transpose as on a transposed view.
  int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < whole_columns; j += 8) {
    for (int64_t i = 0; i < whole_rows; i += 8) transpose_tile(in + i * columns + j, out + j * rows + i, columns, rows);
    for (int64_t k = j; k < j + 8; ++k)
      for (int64_t i = whole_rows; i < rows; ++i) out[k * rows + i] = in[i * columns + k];
  }
  for (int64_t j = whole_columns; j < columns; ++j)
    for (int64_t i = 0; i < rows; ++i) out[j * rows + i] = in[i * columns + j];
}

constexpr int64_t kStrip = 64;  // columns summed over the rows at a time: their accumulators stay in the L1 cache

}  // namespace

extern "C" {

// out = x + std (a + b): Gaussian noise of standard deviation std, as a, b ~ N(0, 1/2) (noise.py).
void add_noise(const bf16* __restrict x, const bf16* __restrict a, const bf16* __restrict b, float std,
               bf16* __restrict out, int64_t count) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i) out[i] = to_bf16(to_float(x[i]) + std * (to_float(a[i]) + to_float(b[i])));
}

// h = relu(z + bias), overwriting z, and noisy = h + std (a + b), the next layer's input; all (N, A).
void bias_relu_noise(bf16* __restrict z, const float* __restrict bias, const bf16* __restrict a,
                     const bf16* __restrict b, float std, bf16* __restrict noisy, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    bf16* row = z + i * columns;
    const bf16 *row_a = a + i * columns, *row_b = b + i * columns;
    bf16* row_noisy = noisy + i * columns;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      float value = to_float(row[j]) + bias[j];
      value = value < 0.0f ? 0.0f : value;
      row[j] = to_bf16(value);
      row_noisy[j] = to_bf16(value + std * (to_float(row_a[j]) + to_float(row_b[j])));
    }
  }
}

// dL/dz = dL/dh [h > 0], overwriting grad; the sign bit of a bfloat16 is that of an int16.
void relu_backward(bf16* __restrict grad, const bf16* __restrict h, int64_t count) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i) grad[i] = static_cast<int16_t>(h[i]) > 0 ? grad[i] : 0;
}

// The same with its transpose (A, N), for W_grad = transposed . inputs, and bias_grad (A,), its sums over the examples.
void relu_backward_transposed(bf16* __restrict grad, const bf16* __restrict h, bf16* __restrict transposed,
                              float* __restrict bias_grad, int64_t rows, int64_t columns) {
  relu_backward(grad, h, rows * columns);
  transpose(grad, transposed, rows, columns);
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < columns; ++j) {
    float sum = 0.0f;
    const bf16* row = transposed + j * rows;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < rows; ++i) sum += to_float(row[i]);
    bias_grad[j] = sum;
  }
}

// Weight norm: norm_i = ||v_i||, w_i = g_i v_i / norm_i for each output unit i; v, w (B, A), g, norm (B,).
void weight_norm(const float* __restrict v, const float* __restrict g, float* __restrict norm, bf16* __restrict w,
                 int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = v + i * columns;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += row[j] * row[j];
    norm[i] = std::sqrt(sum);
    float scale = g[i] / norm[i];
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) w[i * columns + j] = to_bf16(scale * row[j]);
  }
}

// Backward of w = g v / norm, row by row: g_grad = (dw . v) / norm,  v_grad = (g / norm) (dw - v (dw . v) / norm^2).
// The second term projects dw onto the complement of v: the length of v does not change w.
void weight_norm_backward(const bf16* __restrict dw, const float* __restrict v, const float* __restrict g,
                          const float* __restrict norm, float* __restrict v_grad, float* __restrict g_grad,
                          int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = v + i * columns;
    const bf16* row_dw = dw + i * columns;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += to_float(row_dw[j]) * row[j];
    float scale = g[i] / norm[i], along = scale * sum / (norm[i] * norm[i]);
    g_grad[i] = sum / norm[i];
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) v_grad[i * columns + j] = scale * to_float(row_dw[j]) - along * row[j];
  }
}

// Batch norm without scale, then softplus: out = softplus((x - mean) inverse + shift), x (N, A), with the mean and
// inverse = 1 / sqrt(var + eps) of each column. Running statistics: r += momentum (batch statistic - r), where, as in
// PyTorch, the batch is normalized by the biased variance and the running variance follows the unbiased one.
void batch_norm_softplus(const bf16* __restrict x, const float* __restrict shift, float* __restrict running_mean,
                         float* __restrict running_var, float momentum, float eps, float* __restrict mean,
                         float* __restrict inverse, bf16* __restrict out, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < columns; first += kStrip) {
    int64_t end = first + kStrip < columns ? first + kStrip : columns;
    float sums[kStrip] = {}, squares[kStrip] = {};
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) sums[j - first] += to_float(x[i * columns + j]);
    for (int64_t j = first; j < end; ++j) mean[j] = sums[j - first] / rows;
    // A second pass for the variance: E[x^2] - E[x]^2 would cancel where the mean is large.
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float difference = to_float(x[i * columns + j]) - mean[j];
        squares[j - first] += difference * difference;
      }
    for (int64_t j = first; j < end; ++j) {
      inverse[j] = 1.0f / std::sqrt(squares[j - first] / rows + eps);
      running_mean[j] += momentum * (mean[j] - running_mean[j]);
      running_var[j] += momentum * (squares[j - first] / (rows - 1) - running_var[j]);
    }
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j)
        out[i * columns + j] = to_bf16(softplus((to_float(x[i * columns + j]) - mean[j]) * inverse[j] + shift[j]));
  }
}

// Backward of batch_norm_softplus. With the normalized n = (x - mean) inverse, y = n + shift, out = softplus(y):
//   dy = dout sigmoid(y),  shift_grad = sum_i dy_i,  dx = inverse (dy - mean_i(dy) - n mean_i(dy n))
// grad holds dout, then dy, then dx (N, A); transposed is dx^T (A, N).
void batch_norm_softplus_backward(bf16* __restrict grad, const bf16* __restrict x, const float* __restrict shift,
                                  const float* __restrict mean, const float* __restrict inverse,
                                  float* __restrict shift_grad, bf16* __restrict transposed, int64_t rows,
                                  int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < columns; first += kStrip) {
    int64_t end = first + kStrip < columns ? first + kStrip : columns;
    float sums[kStrip] = {}, along[kStrip] = {};
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float normal = (to_float(x[i * columns + j]) - mean[j]) * inverse[j];
        float grad_z = to_float(grad[i * columns + j]) * sigmoid(normal + shift[j]);
        grad[i * columns + j] = to_bf16(grad_z);
        sums[j - first] += grad_z;
        along[j - first] += grad_z * normal;
      }
    for (int64_t j = first; j < end; ++j) shift_grad[j] = sums[j - first];
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float normal = (to_float(x[i * columns + j]) - mean[j]) * inverse[j];
        float centered = to_float(grad[i * columns + j]) - (sums[j - first] + normal * along[j - first]) / rows;
        grad[i * columns + j] = to_bf16(inverse[j] * centered);
      }
  }
  transpose(grad, transposed, rows, columns);
}

// out = sigmoid(x + bias), float32: bfloat16 would round bright pixels to 1, where the sigmoid has no gradient.
void bias_sigmoid(const bf16* __restrict x, const float* __restrict bias, float* __restrict out, int64_t rows,
                  int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) out[i * columns + j] = sigmoid(to_float(x[i * columns + j]) + bias[j]);
}

// Backward of bias_sigmoid: dx = dout out (1 - out) (N, A), its transpose (A, N), and bias_grad (A,), its column sums.
void sigmoid_backward(const float* __restrict out_grad, const float* __restrict out, bf16* __restrict grad,
                      bf16* __restrict transposed, float* __restrict bias_grad, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < columns; first += kStrip) {
    int64_t end = first + kStrip < columns ? first + kStrip : columns;
    float sums[kStrip] = {};
    for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
      for (int64_t j = first; j < end; ++j) {
        float value = out[i * columns + j], grad_z = out_grad[i * columns + j] * value * (1.0f - value);
        grad[i * columns + j] = to_bf16(grad_z);
        sums[j - first] += grad_z;
      }
    for (int64_t j = first; j < end; ++j) bias_grad[j] = sums[j - first];
  }
  transpose(grad, transposed, rows, columns);
}

}  // extern "C"
