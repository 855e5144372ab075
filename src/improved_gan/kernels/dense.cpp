// The parts of a dense layer that are no matrix product, one pass over memory each. bfloat16 is the upper half of a
// float32; sums run in float32. Compiled once on the user's machine by native.py and called by dense_operations.py.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

using bf16 = uint16_t;

inline float up(bf16 value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

inline bf16 down(float value) {  // to the nearest, ties to even; not a number stays so
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<bf16>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

typedef bf16 Vector __attribute__((vector_size(16), aligned(2)));

inline Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
inline Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }

// Eight rows of eight: interleaving rows i and i + 4 three times turns them.
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

}  // namespace

extern "C" {

// out = x + std (a + b): noise of deviation std where a and b hold normal numbers of variance 1/2.
void add_noise(const bf16* __restrict x, const bf16* __restrict a, const bf16* __restrict b, float std,
               bf16* __restrict out, int64_t count) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i) out[i] = down(up(x[i]) + std * (up(a[i]) + up(b[i])));
}

// h = max(z + bias, 0), noisy = h + std (a + b); z becomes h.
void activate(bf16* __restrict z, const float* __restrict bias, const bf16* __restrict a, const bf16* __restrict b,
              float std, bf16* __restrict noisy, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    bf16* row = z + i * columns;
    const bf16 *row_a = a + i * columns, *row_b = b + i * columns;
    bf16* row_noisy = noisy + i * columns;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      float value = up(row[j]) + bias[j];
      value = value < 0.0f ? 0.0f : value;
      row[j] = down(value);
      row_noisy[j] = down(value + std * (up(row_a[j]) + up(row_b[j])));
    }
  }
}

// grad becomes grad where h > 0, else 0.
void gate(bf16* __restrict grad, const bf16* __restrict h, int64_t count) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i) grad[i] = static_cast<int16_t>(h[i]) > 0 ? grad[i] : 0;
}

// The same, and its transpose (columns, rows) for the product with the inputs, and bias_grad (columns,) its column sums.
void gate_and_turn(bf16* __restrict grad, const bf16* __restrict h, bf16* __restrict turned, float* __restrict bias_grad,
                   int64_t rows, int64_t columns) {
  gate(grad, h, rows * columns);
  transpose(grad, turned, rows, columns);
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < columns; ++j) {
    float sum = 0.0f;
    const bf16* row = turned + j * rows;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < rows; ++i) sum += up(row[i]);
    bias_grad[j] = sum;
  }
}

// norm_j = ||v_j||; w = g v / norm in bfloat16 (rows, columns) and turned (columns, rows).
void normalise(const float* __restrict v, const float* __restrict g, float* __restrict norm, bf16* __restrict w,
               bf16* __restrict turned, int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = v + i * columns;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += row[j] * row[j];
    norm[i] = std::sqrt(sum);
    float scale = g[i] / norm[i];
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) w[i * columns + j] = down(scale * row[j]);
  }
  transpose(w, turned, rows, columns);
}

// turned (columns, rows) = the transpose of x (rows, columns).
void turn(const bf16* __restrict x, bf16* __restrict turned, int64_t rows, int64_t columns) {
  transpose(x, turned, rows, columns);
}

// w and turned: a plain weight in bfloat16, both ways.
void cast_and_turn(const float* __restrict v, bf16* __restrict w, bf16* __restrict turned, int64_t rows, int64_t columns) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < rows * columns; ++i) w[i] = down(v[i]);
  transpose(w, turned, rows, columns);
}

// v_grad = (g / norm) (dw - v (dw . v) / norm^2), g_grad = (dw . v) / norm: the gradient through w = g v / norm.
void through_normalisation(const bf16* __restrict dw, const float* __restrict v, const float* __restrict g,
                           const float* __restrict norm, float* __restrict v_grad, float* __restrict g_grad,
                           int64_t rows, int64_t columns) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = v + i * columns;
    const bf16* row_dw = dw + i * columns;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < columns; ++j) sum += up(row_dw[j]) * row[j];
    float scale = g[i] / norm[i], along = scale * sum / (norm[i] * norm[i]);
    g_grad[i] = sum / norm[i];
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) v_grad[i * columns + j] = scale * up(row_dw[j]) - along * row[j];
  }
}

}  // extern "C"
