"""One file per step transform: a frozen record that changes what the step loop does with its gradients."""
