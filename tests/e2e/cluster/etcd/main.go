// etcd for the end-to-end clusters, as its own module: its dependencies need not agree with those of Kubernetes.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
