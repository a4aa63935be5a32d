module github.com/cert-manager/go-pkcs12

go 1.26.0
