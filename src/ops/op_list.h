// Every op, one line each; read by registry.c. X(name): the record is tuff_op_<name>.
// Kept by family, so that two families can grow at once.

// ---- matrix product and convolution
X(matmul)
X(conv2d)
X(conv2d_input_grad)
X(conv2d_weight_grad)


// ---- elementwise, movement, softmax, reductions, filling

X(add)
X(sub)
X(mul)
X(div)
X(equal)
X(relu_grad)
X(sigmoid_grad)
X(tanh_grad)
X(relu)
X(sigmoid)
X(tanh)
X(exp)
X(log)
X(sqrt)
X(abs)
X(sign)
X(square)
X(affine)
X(reduce_sum)
X(reduce_mean)
X(reduce_max)
X(reduce_min)
X(transpose)
X(reshape)
X(expand)
X(slice)
X(slice_grad)
X(concat)
X(softmax)
X(fill)
X(random_uniform)
X(random_normal)

// ---- pooling, losses, optimizers
X(max_pool2d)
X(max_pool2d_grad)
X(average_pool2d)
X(average_pool2d_grad)
